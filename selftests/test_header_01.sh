#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# the header: what is unknown is kept, what it vouches for is not believed blindly

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

# An extension that nobody knows, before the end of them, a compatible feature
# that nobody knows, and an autoclear bit that nobody knows.
qemu-img create -q -f qcow2 a.qcow2 8M
# The header is 112 bytes long; the feature name table, then the end.
names=$((112 + 8 + 16#$(od -An -v -tx1 -j 116 -N 4 a.qcow2 | tr -d ' ')))
put_bytes "$names" 12 34 56 78 00 00 00 05 61 62 63 64 65 00 00 00 \
	00 00 00 00 00 00 00 00
put64 80 $((1 << 40 | 1 << 1))
put64 88 $((1 << 50))
cp a.qcow2 before.qcow2

# Only reading changes nothing, read-only or not.
attach -r a.qcow2
dd if="$dev" of=/dev/null bs=1M count=8 iflag=direct status=none
detach "$dev"
cmp a.qcow2 before.qcow2
attach a.qcow2
dd if="$dev" of=/dev/null bs=1M count=8 iflag=direct status=none
cmp a.qcow2 before.qcow2
dd if=/dev/zero of="$dev" bs=64k count=1 oflag=direct status=none
be64 88
[ "$value" = 0 ] || fail "after a write the autoclear features are $value"
detach "$dev"
# All of the first cluster but these eight bytes.
put64 88 $((1 << 50))
cmp -n 65536 a.qcow2 before.qcow2 || fail "the header has changed"
put64 88 0
check_clean a.qcow2

# Refused by the name that the image's own table has for it.
put64 72 $((1 << 40))
refused "a.qcow2.*unknown.*0x10000000000" qcow2ctl attach a.qcow2
put64 72 0
put_bytes 122 00 28 77 61 72 70 00
put64 72 $((1 << 40))
refused "a.qcow2.*(unknown|feature)" qcow2ctl attach a.qcow2
put_bytes 120 00 28 77 61 72 70 00
refused "a.qcow2.*unknown.*'warp'" qcow2ctl attach -r a.qcow2

# A header as long as the first of version 3 were, and one with fields of which
# nobody knows anything yet.
for length in 104 512; do
	qemu-img create -q -f qcow2 a.qcow2 8M
	dd if=/dev/zero of=a.qcow2 bs=1 seek=112 count=400 conv=notrunc status=none
	put_bytes 100 00 00 "$(printf '%02x' $((length >> 8)))" \
		"$(printf '%02x' $((length & 255)))"
	[ "$length" = 104 ] || put_bytes 256 77 88 99
	cp a.qcow2 before.qcow2
	attach a.qcow2
	"$bin/diff_io" --dev "$dev" --seed "$length" --ops 200 --depth 8 \
		--model "$mem/model"
	detach "$dev"
	check_clean a.qcow2
	to_raw a.qcow2 "$mem/after"
	cmp "$mem/after" "$mem/model"
	cmp -n 65536 a.qcow2 before.qcow2 || fail "the header has changed"
done
