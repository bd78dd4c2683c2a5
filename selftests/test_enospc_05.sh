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
: >rest
leave_space 1
for _ in 1 2 3; do
	dd if=/dev/zero of=rest bs=4k oflag=append conv=notrunc status=none 2>/dev/null || :
	sync
done
blkdiscard "$dev" &
discard=$!
for _ in {1..600}; do
	kill -0 "$discard" 2>/dev/null || break
	sleep 0.1
done
kill -0 "$discard" 2>/dev/null && late=1
timeout -k 5 60 qcow2ctl detach -f "$dev" || fail "a detach by force does not end"
[ -z "${late-}" ] || fail "discards wait for ever"
wait "$discard" || :
rm filler rest
check_clean a.qcow2
