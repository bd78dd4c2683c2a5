#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to images of odd sizes on a disk with blocks of 4 KiB

. "${0%/*}/lib.sh"

disk_4k
diff_seeds=2
"$bin/diff_io" --make "$mem/content" --size $((6 * 1024 * 1024 + 512)) --seed 5

# The last sector is there, and is not lost when the cluster around it moves.
qemu-img convert -c -f raw -O qcow2 "$mem/content" a.qcow2
attach a.qcow2
[ "$(blockdev --getsize64 "$dev")" = $((6 * 1024 * 1024 + 512)) ] ||
	fail "the disk is not as large as the image"
dd if=/dev/zero of="$dev" bs=512 seek=12280 count=1 oflag=direct status=none
dd if=/dev/zero of="$mem/content" bs=512 seek=12280 count=1 conv=notrunc \
	status=none
detach "$dev"
init=$mem/content
diff_image a.qcow2

# Whole blocks: direct I/O, in blocks of the disk below.
init=
qemu-img create -q -f qcow2 b.qcow2 8M
attach b.qcow2
[ "$(blockdev --getss "$dev")" = 4096 ] || fail "blocks are not of 4 KiB"
detach "$dev"
