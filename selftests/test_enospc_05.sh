#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# discards of a million clusters that cannot be written: they end, and so does a detach

. "${0%/*}/lib.sh"

# As in enospc_03: each write to the image needs a new block, and there is none.
other_disk xfs host
cd host
qemu-img create -q -f qcow2 -o preallocation=metadata origin.qcow2 96G
cp --reflink=always origin.qcow2 a.qcow2
attach a.qcow2
leave_nothing
blkdiscard "$dev" &
discard=$!
ends "$discard" 60 || late=1
timeout -k 5 60 qcow2ctl detach -f "$dev" || fail "a detach by force does not end"
[ -z "${late-}" ] || fail "discards wait for ever"
wait "$discard" || :
rm filler rest
check_clean a.qcow2
