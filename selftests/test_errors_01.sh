#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# errors below: each reaches the request that it belongs to, and nothing is lost

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"
. "$test_dir/errors.sh"

bad_disk
mark_dmesg

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
