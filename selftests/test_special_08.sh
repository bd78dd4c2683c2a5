#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# an image on a block device that is read while it is written: no old data in a window

. "${0%/*}/lib.sh"

image=/dev/mapper/slow

slow_device
qemu-img create -q -f qcow2 "$image" 16M
attach "$image"
head -c 1M /dev/zero | tr '\0' '\21' >"$mem/old"
head -c 4K /dev/zero | tr '\0' '\42' >"$mem/new"
dd if="$mem/old" of="$dev" bs=1M oflag=direct status=none
qcow2ctl window "$dev" -- qemu-io -f qcow2 -c "read -q -P 17 0 1M" "$image"

# As udev does when the device has been closed: what it reads stays in the page cache,
# and the write, which is on its way, comes after it.
delay 0 1500
dd if="$mem/new" of="$dev" bs=4k oflag=direct status=none &
writer=$!
sleep 0.5
dd if="$image" of=/dev/null bs=1M count=4 status=none
kill -0 "$writer" 2>/dev/null || fail "the write has not been on its way"
wait "$writer"
delay 0 0

out=$(qcow2ctl window "$dev" -- qemu-io -f qcow2 -c "read -P 34 0 4k" "$image") || fail "$out"
[[ $out != *"verification failed"* ]] || fail "old data in the window: $out"
[[ $out == *"read 4096/4096"* ]] || fail "qemu-io said: $out"
detach "$dev"
check_clean "$image"
