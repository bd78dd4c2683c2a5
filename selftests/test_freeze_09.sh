#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a device whose image fails while it is being frozen is not frozen

. "${0%/*}/lib.sh"

# The image on a disk that can be made slow, so that there is I/O to wait for.
slow_disk
qemu-img create -q -f qcow2 a.qcow2 64M
qemu-io -f qcow2 -c "write 0 64k" a.qcow2 >/dev/null
# L2 entry 100 has a reserved bit set.
l1=$((16#$(od -An -v -tx1 -j 40 -N 8 a.qcow2 | tr -d ' ')))
l2=$((16#$(od -An -v -tx1 -j "$l1" -N 8 a.qcow2 | tr -d ' ') & 0xfffffffffffe00))
printf '\2' | dd of=a.qcow2 bs=1 seek=$((l2 + 807)) conv=notrunc status=none
sync
attach a.qcow2
# To new clusters: what says where they are is in memory only.
head -c 1M /dev/zero | tr '\0' x >"$mem/written"
dd if="$mem/written" of="$dev" bs=1M oflag=direct seek=1 status=none
delay 0 1500
# Nearly all of it is slow, the end meets the entry.
dd if=/dev/zero of="$dev" bs=4M count=1 seek=1 oflag=direct status=none \
	2>/dev/null &
writer=$!
sleep 0.3
qcow2ctl freeze --no-fs-freeze "$dev" 2>/dev/null && fail "has been frozen"
wait "$writer" && fail "the write went through"
expect_state "$dev" failed
delay 0 0
# What was acknowledged can still be read.
dd if="$dev" of="$mem/read" bs=1M count=1 skip=1 iflag=direct status=none
cmp "$mem/read" "$mem/written"
qcow2ctl detach "$dev"
