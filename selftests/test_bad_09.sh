#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# entries that name the image's own metadata destroy nothing

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

# hostile ENTRY: an image whose fourth L2 entry is that.
hostile()
{
	qemu-img create -q -f qcow2 a.qcow2 1M
	qemu-io -f qcow2 -c "write -P 1 0 1M" a.qcow2 >/dev/null
	l2_entry 3
	put64 "$value" "$1"
	cp a.qcow2 before.qcow2
}

compressed=$((1 << 62))
# The header, L1, the refcount table; the stream ends in it, begins in it.
for host in 0x200 0x30000 0x10000 $((0x2ff00 | 1 << 54)); do
	for how in discard zero write; do
		hostile $((compressed | host))
		attach a.qcow2
		case $how in
		discard) blkdiscard -o 192K -l 64K "$dev" 2>/dev/null ;;
		zero) blkdiscard -z -o 192K -l 64K "$dev" 2>/dev/null ;;
		write) dd if=/dev/zero of="$dev" bs=64k seek=3 count=1 \
			oflag=direct status=none 2>/dev/null ;;
		esac && fail "$how of a cluster at $host succeeds"
		unharmed
	done
done

# Directory of bitmaps beyond the end of the file, and on L1.
qemu-img create -q -f qcow2 a.qcow2 1M
qemu-img bitmap --add a.qcow2 b0
be64 40
l1=$value
at=$(LC_ALL=C grep -obUaP '\x23\x85\x28\x75\x00\x00\x00\x18' a.qcow2 | head -n 1)
at=${at%%:*}
put64 $((at + 24)) $((1 << 40))
refused "a.qcow2.*bitmap.*end of the file" qcow2ctl attach a.qcow2
put64 $((at + 24)) "$l1"
refused "a.qcow2.*bitmap.*overlaps" qcow2ctl attach a.qcow2
check_usable
