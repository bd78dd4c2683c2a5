#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a frozen device is detached: idle, in use, and with force

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 100 --depth 8 --model "$mem/m" >/dev/null
qcow2ctl freeze "$dev"
detach "$dev"
device_exists && fail "the device is still there"
check_clean a.qcow2
to_raw a.qcow2 "$mem/raw"
cmp "$mem/raw" "$mem/m"

attach a.qcow2
exec {fd}<"$dev"
qcow2ctl freeze "$dev"
refused "frozen|in use" qcow2ctl detach "$dev"
dd if="$dev" of=/dev/null bs=64k count=1 iflag=direct 2>"$mem/dd" &
reader=$!
waits "$reader"
# Who waits gets an error, nobody is left waiting.
qcow2ctl detach -f "$dev"
wait "$reader" && fail "a read of a device that is gone succeeded"
exec {fd}<&-
for ((i = 0; i < 50; i++)); do
	device_exists || break
	sleep 0.1
done
device_exists && fail "the device is still there"
check_clean a.qcow2
to_raw a.qcow2 "$mem/raw"
cmp "$mem/raw" "$mem/m"
check_usable
