#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# errors below: each reaches the request that it belongs to, and nothing is lost

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"
. "$test_dir/errors.sh"

# Guest clusters 0 to 3 have data, all that is known of it durably; with what
# follows known, too: where the tables are.
begin()
{
	say "$*"
	shift
	fresh_image "$@"
	attach a.qcow2
	for cluster in 0 1 2 3; do
		put "$cluster" 101
	done
	detach "$dev"
	be64 40 && l1=$value
	be64 "$l1" && l2=$((value & 0x00fffffffffffe00))
	be64 48 && be64 "$value" && block=$value
	l2_entry 3 && be64 "$value" && data=$((value & 0x00fffffffffffe00))
	end=$((data + 65536))
	attach a.qcow2
}

# The image after all this, once the disk is well again.
finish()
{
	detach "$dev"
	heal
	check_copy a.qcow2
	attach a.qcow2
	for cluster in 0 1 2; do
		get "$cluster" 101
	done
	put 9 111
	flush
	get 9 111
	detach "$dev"
	check_copy a.qcow2
}

# The device has failed: it reads what it has read before, writes nothing, and
# has said so once.
expect_failed()
{
	expect_state "$dev" failed
	get 0 101
	fails put 0 102
	fails flush
	[ "$(blockdev --getro "$dev")" = 1 ] || fail "$dev is not read-only"
	[ "$(dmesg | tail -n +"$seen" | grep -c 'can no longer be written')" = 1 ] ||
		fail "it did not say once that it has failed"
}

mark_dmesg()
{
	seen=$(($(dmesg | wc -l) + 1))
}

read_cluster()
{
	dd if="$dev" of=/dev/null bs=64k skip="$1" count=1 iflag=direct status=none
}

bad_disk
mark_dmesg

begin "data, read"
break_at reads "$data" 65536
fails read_cluster 3
get 2 101
put 3 103
expect_state "$dev" live
finish

begin "data, overwritten"
break_at all "$data" 65536
fails put 3 103
put 2 101
flush
expect_state "$dev" live
heal
put 3 103
get 3 103
finish

begin "data, in a new cluster"
break_at all "$end" $((64 * 1024 * 1024 - end))
fails put 5 105
put 2 101
flush
expect_state "$dev" live
heal
get 5 0
put 5 105
detach "$dev"
# What was allocated in vain has been given back.
check_clean a.qcow2
attach a.qcow2
get 5 105
finish

begin "L2 table, read"
# Its second slice, for guest clusters from 512 on: the first one has been read
# when partitions were looked for.
break_at reads $((l2 + 4096)) 4096
fails read_cluster 600
fails put 600 105
get 3 101
put 8192 105
expect_state "$dev" live
heal
get 600 0
put 600 106
finish

begin "L2 table, written"
get 5 0
break_at all "$l2" 65536
mark_dmesg
put 5 105
fails flush
get 5 105
expect_failed
finish

begin "L1 table, written"
break_at all "$l1" 65536
mark_dmesg
put 8192 105
fails flush
get 8192 105
expect_failed
finish

begin "refcount block, read"
break_at reads "$block" 65536
fails put 5 105
put 3 103
flush
expect_state "$dev" live
heal
put 5 105
finish

begin "refcount block, written"
put 4 104
flush
break_at all "$block" 65536
mark_dmesg
put 5 105
fails flush
expect_failed
finish

begin "header, before the first write" -o lazy_refcounts=on
break_at all 0 65536
fails put 5 105
fails put 3 103
get 3 101
get 5 0
heal
# Nothing had been written, so nothing is lost.
expect_state "$dev" live
put 3 103
flush
finish

begin "flush"
mark_dmesg
break_at writes 0 $((64 * 1024 * 1024))
fails flush
get 3 101
expect_failed
finish
