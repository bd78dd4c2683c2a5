#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a corruption that is met marks the image corrupt, and ends writing to it

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

# corrupt_read CLUSTER: reading it fails, and that alone.
corrupt_read()
{
	dd if="$dev" of=/dev/null bs=64k skip="$1" count=1 iflag=direct \
		status=none 2>/dev/null && fail "reading cluster $1 succeeds"
	expect_state "$dev" failed
	dd if="$dev" bs=64k count=1 iflag=direct status=none |
		cmp - "$mem/first" || fail "other clusters cannot be read"
	dd if=/dev/zero of="$dev" bs=64k count=1 oflag=direct \
		status=none 2>/dev/null && fail "it can still be written"
	# The mark follows at once.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		be64 72
		[ "$value" != 2 ] || return 0
		sleep 0.2
	done
	fail "incompatible features are $value"
}

head -c 64k /dev/zero | tr '\0' '\21' >"$mem/first"
# An unaligned offset; a reserved bit; beyond the end of the file.
for entry in 0x8000000000050200 0x8100000000050000 0x8000000100000000; do
	qemu-img create -q -f qcow2 a.qcow2 8M
	qemu-io -f qcow2 -c "write -P 17 0 8M" a.qcow2 >/dev/null
	l2_entry 5
	put64 "$value" "$entry"
	# Who only reads changes nothing.
	cp a.qcow2 before.qcow2
	attach -r a.qcow2
	dd if="$dev" of=/dev/null bs=64k skip=5 count=1 iflag=direct \
		status=none 2>/dev/null && fail "reading entry $entry succeeds"
	detach "$dev"
	cmp a.qcow2 before.qcow2
	attach a.qcow2
	corrupt_read 5
	qcow2ctl detach "$dev"
	# All else is as it was.
	put64 72 0
	cmp -n "$(stat -c %s before.qcow2)" a.qcow2 before.qcow2 ||
		fail "more than the mark has changed"
	put64 72 2
	refused "a.qcow2.*corrupt.*(-r|read-only)" qcow2ctl attach a.qcow2
	attach -r a.qcow2
	detach "$dev"
done
