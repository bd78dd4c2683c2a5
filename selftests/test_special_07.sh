#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# the submitter's limit for file sizes; a raw data file that is shorter than the disk

. "${0%/*}/lib.sh"

head -c 64k /dev/urandom >"$mem/data"

# What is limited are the submitter's own files, not the image's.
for preallocation in off full; do
	qemu-img create -q -f qcow2 -o preallocation=$preallocation a.qcow2 16M
	attach a.qcow2
	# The first one is done by a worker.
	dd if="$mem/data" of="$dev" bs=64k count=1 oflag=direct conv=notrunc status=none
	(ulimit -f 16 && dd if="$mem/data" of="$dev" bs=64k seek=128 count=1 oflag=direct \
		conv=notrunc status=none) || fail "$preallocation: the limit counts for the image"
	dd if="$dev" bs=64k skip=128 count=1 iflag=direct status=none | cmp - "$mem/data"
	detach "$dev"
	check_clean a.qcow2
done

# All of it is mapped, so a write makes it longer without an allocation.
qemu-img create -q -f qcow2 -o data_file=data.raw,data_file_raw=on b.qcow2 16M
truncate -s 4M data.raw
attach b.qcow2
for option in '' -z; do
	dd if="$mem/data" of="$dev" bs=64k seek=128 count=1 oflag=direct conv=notrunc \
		status=none
	cmp -n 65536 -i 8M:0 data.raw "$mem/data" || fail "what was written is not in the data file"
	# shellcheck disable=SC2086
	blkdiscard $option -o 8M -l 64k "$dev"
	sync "$dev"
	cmp -n 65536 -i 8M:0 data.raw /dev/zero || fail "blkdiscard $option: the data file has it still"
done
detach "$dev"
check_clean b.qcow2
