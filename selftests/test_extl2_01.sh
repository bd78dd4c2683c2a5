#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# extended L2 entries: only the subclusters that are written leave the base

. "${0%/*}/lib.sh"

content 32M

# Where the overlay itself has data, as qemu-img sees it.
depths()
{
	qemu-img map -f qcow2 --output=json a.qcow2 |
		sed -n 's/.*"start": \([0-9]*\), "length": \([0-9]*\), "depth": 0.*/\1+\2/p'
}

expect_depths()
{
	local got

	got=$(depths | tr '\n' ' ')
	[ "$got" = "$1 " ] || fail "of the overlay itself are: $got, not $1"
}

# Subclusters of 2 KiB. Aligned: two of them. Unaligned: those that it touches.
qemu-img create -q -f qcow2 -o extended_l2=on -b "$raw_content" -F raw a.qcow2
attach a.qcow2
dd if=/dev/zero bs=4k count=1 status=none | tr '\0' x |
	dd of="$dev" bs=4k seek=256 count=1 oflag=direct status=none
detach "$dev"
expect_depths "1048576+4096"
cp "$raw_content" "$mem/model"
dd if=/dev/zero bs=4k count=1 status=none | tr '\0' x |
	dd of="$mem/model" bs=4k seek=256 conv=notrunc status=none
to_raw a.qcow2 "$mem/after"
cmp "$mem/after" "$mem/model"
attach a.qcow2
dd if=/dev/zero of="$dev" bs=512 seek=$(((1 << 11) + 19)) count=1 oflag=direct status=none
dd if=/dev/zero of="$mem/model" bs=512 seek=$(((1 << 11) + 19)) count=1 conv=notrunc \
	status=none
detach "$dev"
# Sector 19 lies in the fifth subcluster, beside nothing that was there.
expect_depths "1048576+4096 1056768+2048"
to_raw a.qcow2 "$mem/after"
cmp "$mem/after" "$mem/model"
# Zeroes are for whole subclusters without data, in the same cluster.
attach a.qcow2
blkdiscard -z -o $(((1 << 20) + 16384)) -l 8k "$dev"
detach "$dev"
dd if=/dev/zero of="$mem/model" bs=8k seek=130 count=1 conv=notrunc status=none
to_raw a.qcow2 "$mem/after"
cmp "$mem/after" "$mem/model"
check_clean a.qcow2
# One cluster of the host file is enough for all that.
image_end=$(qemu-img check -f qcow2 a.qcow2 | sed -n 's/^Image end offset: //p')
qemu-img create -q -f qcow2 -o extended_l2=on -b "$raw_content" -F raw b.qcow2
qemu-io -f qcow2 -c "write 1M 4k" b.qcow2 >/dev/null
other_end=$(qemu-img check -f qcow2 b.qcow2 | sed -n 's/^Image end offset: //p')
[ "$image_end" = "$other_end" ] ||
	fail "the image ends at $image_end, where QEMU needs $other_end"
