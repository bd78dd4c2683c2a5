#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# the host's disk is full: writes wait for space, and a window can be opened

. "${0%/*}/lib.sh"

flag()
{
	qcow2ctl info --json "$dev" | grep -q '"waits-for-space": *true'
}

wait_for_flag()
{
	local _

	for _ in {1..100}; do
		flag && return
		sleep 0.1
	done
	fail "writes do not wait for space"
}

small_disk 160
cd host
qemu-img create -q -f qcow2 a.qcow2 256M
udevadm monitor --kernel --property --subsystem-match=block >"$mem/events" &
monitor=$!
attach --on-enospc=park a.qcow2
leave_space 8
"$bin/diff_io" --dev "$dev" --size 64M --seed "$(diff_seed 1)" --ops 1000 \
	--depth 16 --model "$mem/model" >"$mem/out" &
writer=$!
wait_for_flag
waits "$writer"
expect_state "$dev" live

# Reading goes on, and so does writing to what has its place.
dd if="$dev" of=/dev/null bs=4k count=16 iflag=direct status=none
# There is still no space: they wait on.
qcow2ctl resume "$dev"
wait_for_flag
waits "$writer"

# A window: the image is complete, and moves to where there is more.
qcow2ctl freeze "$dev"
check_clean a.qcow2
refused 'frozen' qcow2ctl resume "$dev"
rm filler
leave_space 16
qcow2ctl thaw "$dev"
wait_for_flag
waits "$writer"

rm filler
qcow2ctl resume "$dev"
wait "$writer" || fail "$(<"$mem/out")"
! flag || fail "nobody waits, but the device says so"
detach "$dev"
check_clean a.qcow2
to_raw a.qcow2 "$mem/after.raw"
truncate -s 64M "$mem/after.raw"
cmp "$mem/after.raw" "$mem/model" || fail "QEMU reads other content"
kill "$monitor"
wait "$monitor" || :
grep -q QCOW2_NOSPACE=1 "$mem/events" || fail "no uevent when they began to wait"
grep -q QCOW2_NOSPACE=0 "$mem/events" || fail "no uevent when they went on"

# Detached by force, they fail.
qemu-img create -q -f qcow2 b.qcow2 256M
attach --on-enospc=park b.qcow2
leave_space 4
dd if=/dev/zero of="$dev" bs=1M count=100 oflag=direct status=none 2>"$mem/err" &
writer=$!
wait_for_flag
qcow2ctl detach -f "$dev"
! wait "$writer" || fail "a write that waited for space has succeeded"
check_copy b.qcow2
