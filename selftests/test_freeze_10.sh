#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a window whose time is over is thawed, or lets all I/O fail, as asked

. "${0%/*}/lib.sh"

# Long enough for a program to begin its work in the window, but no longer.
time=3
[[ $(uname -r) != *-debug ]] || time=15
qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 100 --depth 8 --model "$mem/m1" >/dev/null

# await_state STATE: for a while at most.
await_state()
{
	local i

	for ((i = 0; i < 300; i++)); do
		get_state "$dev"
		[ "$state" != "$1" ] || return 0
		sleep 0.1
	done
	fail "$dev is $state, not $1"
}

# reader: one that waits; its number goes into $reader.
reader()
{
	dd if="$dev" of="$mem/read" bs=64k count=1 iflag=direct status=none 2>"$mem/dd" &
	reader=$!
	waits "$reader"
}

# Nobody is there to thaw, as after kill -9.
qcow2ctl freeze --timeout $time "$dev"
reader
await_state live
wait "$reader"
cmp -n 65536 "$mem/read" "$mem/m1"
"$bin/diff_io" --dev "$dev" --seed 2 --ops 100 --depth 8 --init "$mem/m1" \
	--model "$mem/m2" >/dev/null

# Not while somebody has the image locked.
qcow2ctl freeze --timeout $((time * 2)) "$dev"
mkfifo hold
qemu-io -f qcow2 a.qcow2 <hold >/dev/null &
holder=$!
exec {held}>hold
sleep $((time * 2 + 2))
expect_state "$dev" frozen
exec {held}>&-
wait "$holder"
await_state live

# Not with a chain that is another one now: only who follows names may thaw.
qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
detach "$dev"
attach b.qcow2
cp a.qcow2 copy.qcow2
qcow2ctl freeze --timeout $time "$dev"
qemu-img rebase -u -f qcow2 -F qcow2 -b copy.qcow2 b.qcow2
sleep $((time + 1))
expect_state "$dev" frozen
read -r reason <"/sys/block/${dev##*/}/qcow2/reason"
[[ $reason == *"another backing"* ]] || fail "the reason is '$reason'"
[[ $(qcow2ctl info "$dev") == *"reason: "*"another backing"* ]] || fail "info has no reason"
qcow2ctl thaw "$dev"
read -r reason <"/sys/block/${dev##*/}/qcow2/reason"
[ -z "$reason" ] || fail "live for the reason '$reason'"
[[ $(qcow2ctl info "$dev") == *"$disk/copy.qcow2"* ]] || fail "the chain is the old one"

# To fail is what was asked for; to thaw is possible still.
qcow2ctl freeze -t $time --on-timeout fail "$dev"
reader
await_state failed
wait "$reader" && fail "a read was not to succeed"
dd if="$dev" of=/dev/null bs=64k count=1 iflag=direct status=none 2>/dev/null &&
	fail "a read of a device that has failed succeeded"
refused "failed" qcow2ctl freeze "$dev"
qcow2ctl thaw "$dev"
expect_state "$dev" live
"$bin/diff_io" --dev "$dev" --seed 3 --ops 100 --depth 8 --init "$mem/m2" \
	--model "$mem/m3" >/dev/null

# A failed one is detached like any other.
qcow2ctl freeze -t 1 --on-timeout fail "$dev"
await_state failed
detach "$dev"
model=$mem/m3
diff_verdict b.qcow2

# What qcow2ctl window runs is ended, and the device thawed by what it names now.
attach b.qcow2
status=0
qcow2ctl window -t $time "$dev" -- sh -c '
	qemu-img rebase -u -f qcow2 -F qcow2 -b a.qcow2 b.qcow2; exec sleep 60' || status=$?
[ "$status" = 143 ] || fail "status $status, not that of SIGTERM"
expect_state "$dev" live
[[ $(qcow2ctl info "$dev") == *"$disk/a.qcow2"* ]] || fail "the chain is the old one"
status=0
qcow2ctl window -t 1 "$dev" -- sh -c 'trap "" TERM; sleep 60 & wait; wait' || status=$?
[ "$status" = 137 ] || fail "status $status, not that of SIGKILL"
expect_state "$dev" live
status=0
qcow2ctl window -t 1 --on-timeout fail "$dev" -- sleep 60 2>"$mem/err" || status=$?
[ "$status" = 124 ] || fail "status $status of a window that was to fail"
expect_state "$dev" failed
qcow2ctl thaw "$dev"
refused "seconds" qcow2ctl freeze -t 0 "$dev"
refused "seconds" qcow2ctl freeze -t 1x "$dev"
refused "thaw.*fail" qcow2ctl freeze --on-timeout x "$dev"
detach "$dev"
