#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# an image that fills its block device: what is discarded can be written to at once, and
# so can what the device grows by

. "${0%/*}/lib.sh"

# fill SEEK: write from that cluster on until there is no space, and say so.
fill()
{
	dd if=/dev/urandom of="$dev" bs=64k seek="$1" oflag=direct 2>"$mem/err" &&
		fail "everything fits in"
	[[ $(<"$mem/err") == *"No space left on device"* ]] || fail "dd said: $(<"$mem/err")"
	expect_state "$dev" live
}

# written FILE SEEK: its clusters must find a place there.
written()
{
	dd if="$1" of="$dev" bs=64k seek="$2" oflag=direct 2>"$mem/err" ||
		fail "$1 at cluster $2: $(<"$mem/err")"
	dd if="$dev" bs=64k skip="$2" count=$(($(stat -c %s "$1") >> 16)) iflag=direct \
		status=none | cmp - "$1"
}

new_disk 24M space
image=$new
head -c 8M /dev/urandom >"$mem/one"
head -c 8M /dev/urandom >"$mem/two"
qemu-img create -q -f qcow2 "$image" 96M
attach "$image"
fill 0
for seek in 600 800; do
	blkdiscard -o 2M -l 9M "$dev"
	written "$mem/one" "$seek"
	# And it is as full as before.
	fill 32
	blkdiscard -o $((seek << 16)) -l 8M "$dev"
	fill 32
done

truncate -s 48M space
losetup -c "$image"
written "$mem/one" 1000
written "$mem/two" 1200
detach "$dev"
check_clean "$image"
