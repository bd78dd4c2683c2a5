#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# errors of reads below, with writes that work: each reaches its request, nothing is lost

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"
. "$test_dir/errors.sh"

read_cluster()
{
	dd if="$dev" of=/dev/null bs=64k skip="$1" count=1 iflag=direct status=none
}

bad_disk
reads_can_fail || skip "this kernel's dm-flakey cannot fail reads alone"
mark_dmesg

begin "data, read"
break_at reads "$data" 65536
fails read_cluster 3
get 2 101
put 3 103
expect_state "$dev" live
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

begin "refcount block, read"
break_at reads "$block" 65536
fails put 5 105
put 3 103
flush
expect_state "$dev" live
heal
put 5 105
finish
