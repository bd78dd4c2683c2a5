#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a window whose owner dies stays open, and anybody may close it

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 100 --depth 8 --model "$mem/m1" >/dev/null

# open_window COMMAND...: by an owner that is then killed; the command is not.
open_window()
{
	local i owner

	rm -f begun
	qcow2ctl window "$dev" -- sh -c ": >begun; $*" &
	owner=$!
	for ((i = 0; i < 100; i++)); do
		[ ! -e begun ] || break
		sleep 0.1
	done
	[ -e begun ] || fail "the window does not open"
	kill -KILL "$owner"
	wait "$owner" 2>/dev/null || :
}

open_window sleep 1
sleep 1.5
expect_state "$dev" frozen
dd if="$dev" of="$mem/read" bs=1M iflag=direct status=none &
reader=$!
waits "$reader"
check_clean a.qcow2
list=$(qcow2ctl list -n -r -o NAME,STATE)
[[ $list == *frozen* ]] || fail "list says '$list'"
qcow2ctl thaw "$dev"
wait "$reader"
cmp "$mem/read" "$mem/m1"

# What the owner ran goes on, and has the image until it ends.
open_window "exec qemu-io -f qcow2 -c 'sleep 1500' -c 'write -P 0x33 0 64k' a.qcow2 >/dev/null"
sleep 0.5
dd if="$dev" of="$mem/read" bs=64k count=1 iflag=direct status=none &
reader=$!
# It waits for that, for a while.
qcow2ctl thaw "$dev"
wait "$reader"
head -c 64k /dev/zero | tr '\0' '\063' | cmp - "$mem/read" ||
	fail "the device does not show what was written in the window"
open_window "exec qemu-io -f qcow2 -c 'sleep 6000' a.qcow2 >/dev/null"
sleep 0.5
refused "a.qcow2.*(in use|locked)" qcow2ctl thaw "$dev"
expect_state "$dev" frozen
for ((i = 0; i < 10; i++)); do
	! qcow2ctl thaw "$dev" 2>"$mem/err" || break
done
expect_state "$dev" live

# Or it goes, with the window.
open_window sleep 1
qcow2ctl detach "$dev"
device_exists && fail "the device is still there"
check_clean a.qcow2
check_usable
