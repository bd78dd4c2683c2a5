#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# no space for metadata that is overwritten: a flush fails or waits, data stays

. "${0%/*}/lib.sh"

flush()
{
	dd if=/dev/null of="$dev" conv=fsync status=none 2>"$mem/err"
}

# Where a reflink shares the image's blocks, each write needs a new one.
content 32M
other_disk xfs host
cd host
qemu-img convert -f raw -O qcow2 "$raw_content" origin.qcow2
cp "$raw_content" "$mem/model"
for policy in fail park; do
	cp --reflink=always origin.qcow2 a.qcow2
	attach "--on-enospc=$policy" a.qcow2
	leave_nothing
	# Changes the map, and nothing else.
	blkdiscard -z -o 4M -l 4M "$dev"
	dd if=/dev/zero of="$mem/model" bs=1M seek=4 count=4 conv=notrunc \
		status=none
	if [ "$policy" = fail ]; then
		! flush || fail "the flush had space"
		[[ $(<"$mem/err") == *"No space left on device"* ]] ||
			fail "the flush said: $(<"$mem/err")"
		rm filler rest
		flush || fail "$(<"$mem/err")"
	else
		flush &
		flush=$!
		sleep 1
		waits "$flush"
		rm filler rest
		qcow2ctl resume "$dev"
		wait "$flush" || fail "$(<"$mem/err")"
	fi
	expect_state "$dev" live
	cp --reflink=always a.qcow2 flushed.qcow2
	detach "$dev"
	check_copy flushed.qcow2
	check_clean a.qcow2
	for image in flushed a; do
		to_raw "$image.qcow2" "$mem/after.raw"
		cmp "$mem/after.raw" "$mem/model" ||
			fail "$image: not what was flushed"
	done
done
