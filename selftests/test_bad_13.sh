#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# entries that break the rules: EIO where they are used, and nowhere else

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

# reads CLUSTER [SIZE], unreadable CLUSTER [SIZE]: of $dev
reads()
{
	dd if="$dev" of=/dev/null bs="${2-64k}" skip="$1" count=1 iflag=direct \
		status=none || fail "cluster $1 cannot be read"
}

unreadable()
{
	dd if="$dev" of=/dev/null bs="${2-64k}" skip="$1" count=1 iflag=direct \
		status=none 2>"$mem/dd" && fail "cluster $1 can be read"
	[[ $(<"$mem/dd") == *"Input/output error"* ]] || fail "$(<"$mem/dd")"
}

# image [OPTION]...: clusters 0 to 15 with data, $l2 is their table.
image()
{
	rm -f a.qcow2
	qemu-img create -q -f qcow2 "$@" a.qcow2 1M
	qemu-io -f qcow2 -c "write -P 17 0 1M" a.qcow2 >/dev/null
	l2_entry 0
	l2=$value
}

# broken ENTRY...: these are the entries from cluster 2 on, none can be read,
# and all others can.
broken()
{
	local i=2 entry

	for entry; do
		put64 $((l2 + 8 * i++)) "$entry"
	done
	attach -r a.qcow2
	for ((i = 0; i < 16; i++)); do
		if ((i < 2 || i >= $# + 2)); then
			reads "$i"
		else
			unreadable "$i"
		fi
	done
	detach "$dev"
}

compressed=$((1 << 62)) copied=$((1 << 63))
image
# Unaligned, reserved bits, COPIED with offset 0, with and without the zero flag;
# beyond the end of the file; compressed: at 0, COPIED, beyond the end, and what
# is no stream at all.
broken $((copied | 0x50200)) $((1 << 61 | 0x50000)) $((1 << 56 | 0x50000)) \
	0x50002 0x50100 "$copied" $((copied | 1)) $((copied | 1 << 40)) \
	"$compressed" $((copied | compressed | 0x50000)) \
	$((compressed | 1 << 40)) $((compressed | 3 << 54 | 0x50000))
# Version 2 has no zero flag.
image -o compat=0.10
broken 1 $((copied | 0x50001))
# What is in a data file is never compressed, and has its place.
image -o data_file=data
broken $((compressed | 0x50000)) $((copied | 0x50000)) $((copied | 0x200))

# Extended entries: allocated and zero; allocated without a cluster; the zero
# flag; COPIED with offset 0; compressed with subclusters.
rm a.qcow2
qemu-img create -q -f qcow2 -o extended_l2=on a.qcow2 1M
qemu-io -f qcow2 -c "write -P 17 0 1M" a.qcow2 >/dev/null
l2_entry 0
l2=$value
i=2
for entry in "$((copied | 0x50000)) 0x100000001" "0 1" "$((copied | 0x50001)) 1" \
	     "$copied 0" "$((compressed | 0x50000)) 1"; do
	put64 $((l2 + 16 * i)) "${entry% *}"
	put64 $((l2 + 16 * i++ + 8)) "${entry#* }"
done
attach -r a.qcow2
reads 1
for i in 2 3 4 5 6; do
	unreadable "$i"
done
reads 7
detach "$dev"

# L1: unaligned, reserved bits, COPIED with offset 0, beyond the end of the file.
# An entry is for 32 KiB of these.
rm a.qcow2
qemu-img create -q -f qcow2 -o cluster_size=512 a.qcow2 1M
qemu-io -f qcow2 -c "write -P 17 0 1M" a.qcow2 >/dev/null
be64 40
l1=$value
cp a.qcow2 seed.qcow2
i=1
for entry in 0x100 $((1 << 62 | 0x2000)) $((1 << 56 | 0x2000)) "$copied" \
	     $((copied | 1 << 40)); do
	put64 $((l1 + 8 * i++)) "$entry"
done
attach -r a.qcow2
reads 0 32k
for i in 1 2 3 4 5; do
	unreadable "$i" 32k
done
reads 6 32k
detach "$dev"
# A table that the end of the file cuts.
cp seed.qcow2 a.qcow2
size=$(stat -c %s a.qcow2)
truncate -s $((size + 100)) a.qcow2
put64 $((l1 + 8)) $((copied | size))
refused "a.qcow2.*table is cut short" qcow2ctl attach a.qcow2
attach -r a.qcow2
reads 0 32k
unreadable 1 32k
detach "$dev"

# overwrite CLUSTER, discard FIRST_CLUSTER NUMBER: of $dev
overwrite()
{
	dd if=/dev/zero of="$dev" bs=64k seek="$1" count=1 oflag=direct status=none
}

discard()
{
	blkdiscard -o "$(($1 * 64))K" -l "$(($2 * 64))K" "$dev"
}

# failed_by COMMAND...: it fails or what follows from it does; the image is marked
failed_by()
{
	attach a.qcow2
	"$@" 2>/dev/null || :
	# Refcounts are lowered after the commit that a flush asks for.
	sync "$dev" 2>/dev/null || :
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		get_state "$dev"
		[ "$state" != failed ] || break
		sleep 0.2
	done
	[ "$state" = failed ] || fail "the device is $state after $*"
	qcow2ctl detach "$dev" || qcow2ctl detach -f "$dev"
	be64 72
	[ "$value" = 2 ] || fail "incompatible features are $value"
}

# The refcount table: unaligned, reserved bits, beyond the end.
for entry in $((0x20000 + 512)) 0x20001 $((1 << 62 | 0x20000)) $((1 << 40)); do
	image
	put64 65536 "$entry"
	# A cluster that is not known to be the image's own: its refcount is.
	put64 $((l2 + 8)) 0x60000
	failed_by overwrite 1
done
# A refcount of 0 where a cluster is used: when it is freed, and when it is
# written without the flag that it is the image's own.
image
put_bytes $((0x20000 + 2 * 6)) 00 00
failed_by discard 1 1
image
put_bytes $((0x20000 + 2 * 6)) 00 00
put64 $((l2 + 8)) 0x60000
failed_by overwrite 1
# Two entries that both say that a cluster is theirs alone.
image
put64 $((l2 + 8)) $((copied | 0x50000))
failed_by discard 0 2
check_usable
