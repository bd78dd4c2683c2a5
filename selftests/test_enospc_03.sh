#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# no space for metadata that is overwritten: a flush fails, a later one does not

. "${0%/*}/lib.sh"

# Where a reflink shares the image's blocks, each write needs a new one.
content 32M
other_disk xfs host
cd host
qemu-img convert -f raw -O qcow2 "$raw_content" origin.qcow2
cp --reflink=always origin.qcow2 a.qcow2
cp "$raw_content" "$mem/model"
attach a.qcow2
leave_space 1
dd if=/dev/zero of=rest bs=4k status=none 2>/dev/null || :
sync
# Changes the map, and nothing else.
blkdiscard -z -o 4M -l 4M "$dev"
dd if=/dev/zero of="$mem/model" bs=1M seek=4 count=4 conv=notrunc status=none
out=$(dd if=/dev/null of="$dev" conv=fsync 2>&1) &&
	fail "the flush had space"
[[ $out == *"No space left on device"* ]] || fail "the flush said: $out"
expect_state "$dev" live
rm filler rest
dd if=/dev/null of="$dev" conv=fsync status=none
cp --reflink=always a.qcow2 flushed.qcow2
for image in flushed a; do
	[ "$image" = flushed ] || detach "$dev"
	check_copy "$image.qcow2"
	to_raw "$image.qcow2" "$mem/after.raw"
	cmp "$mem/after.raw" "$mem/model" || fail "$image: not what was flushed"
done
check_clean a.qcow2
