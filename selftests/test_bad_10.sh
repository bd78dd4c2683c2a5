#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# entries and refcounts that name tables in use destroy nothing

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

# A snapshot of nothing, then a cluster for each of the first 16 of 32. Where
# things are follows from what the header and the tables say.
qemu-img create -q -f qcow2 a.qcow2 2M
qemu-img snapshot -c s a.qcow2
qemu-io -f qcow2 -c "write -P 1 0 1M" a.qcow2 >/dev/null
cp a.qcow2 seed.qcow2
l2_entry 0
l2=$value
be64 48
be64 "$value"
block=$value
be64 64
snapshots=$value
be64 "$value"
inactive=$value

# Data clusters that lie on tables: COPIED, and compressed into it.
for host in "$l2" "$block" "$inactive" "$snapshots"; do
	for entry in $((1 << 63 | host)) $((1 << 62 | host + 16)); do
		cp seed.qcow2 a.qcow2
		put64 $((l2 + 8 * 3)) "$entry"
		cp a.qcow2 before.qcow2
		attach a.qcow2
		if ((entry < 0)); then
			dd if=/dev/zero of="$dev" bs=4k seek=48 count=1 \
				oflag=direct status=none 2>/dev/null &&
				fail "a write to $host succeeds"
		else
			blkdiscard -o 192K -l 64K "$dev" 2>/dev/null &&
				fail "a discard of $host succeeds"
		fi
		unharmed
	done
done

# Tables that are said to be free.
for host in "$l2" "$block" "$inactive" "$snapshots" 0 65536; do
	cp seed.qcow2 a.qcow2
	put_bytes $((block + 2 * (host >> 16))) 00 00
	cp a.qcow2 before.qcow2
	attach a.qcow2
	dd if=/dev/zero of="$dev" bs=64k seek=20 count=1 oflag=direct \
		status=none 2>/dev/null && fail "cluster at $host is used"
	unharmed
done

# Tables that are two things at once: an L2 table a refcount block, the L1 table
# of a snapshot, the active one; a refcount block an L2 table.
be64 40
l1=$value
for host in "$block" "$inactive" "$l1"; do
	cp seed.qcow2 a.qcow2
	put64 "$l1" $((1 << 63 | host))
	cp a.qcow2 before.qcow2
	attach a.qcow2
	dd if=/dev/zero of="$dev" bs=64k count=1 oflag=direct status=none \
		2>/dev/null && fail "L2 table at $host is used"
	unharmed
done
cp seed.qcow2 a.qcow2
put64 65536 "$l2"
cp a.qcow2 before.qcow2
attach a.qcow2
dd if=/dev/zero of="$dev" bs=64k seek=20 count=1 oflag=direct status=none \
	2>/dev/null && fail "a refcount block on an L2 table is used"
unharmed
# Two entries of L1 that name the same table.
qemu-img create -q -f qcow2 a.qcow2 1G
qemu-io -f qcow2 -c "write -P 1 0 64k" a.qcow2 >/dev/null
be64 40
l1=$value
be64 "$l1"
put64 $((l1 + 8)) "$value"
cp a.qcow2 before.qcow2
attach a.qcow2
dd if=/dev/zero of="$dev" bs=64k seek=8192 count=1 oflag=direct status=none \
	2>/dev/null && fail "an L2 table that has two places is used"
unharmed

# Regions that the header names, one on the other; to read it may be attached.
for field in 40:48 48:40 64:48 64:40; do
	cp seed.qcow2 a.qcow2
	be64 "${field#*:}"
	# Something that is a snapshot, too.
	[ "${field%:*}" != 64 ] || {
		be64 64
		dd if=a.qcow2 of=entry bs=1 skip="$value" count=200 status=none
		be64 "${field#*:}"
		dd if=entry of=a.qcow2 bs=1 seek="$value" conv=notrunc status=none
	}
	put64 "${field%:*}" "$value"
	refused "a.qcow2.*table overlaps the" qcow2ctl attach a.qcow2
	attach -r a.qcow2
	detach "$dev"
done
cp seed.qcow2 a.qcow2
put64 "$snapshots" "$inactive"
be64 40
put64 "$snapshots" "$value"
refused "a.qcow2.*overlaps the L1 table of a snapshot" qcow2ctl attach a.qcow2
check_usable
