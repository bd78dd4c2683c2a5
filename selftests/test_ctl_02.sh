#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qcow2ctl shows what takes longer than a second, on a terminal only

. "${0%/*}/lib.sh"

# on_terminal FILE COMMAND: what the terminal gets goes into FILE, at once.
on_terminal()
{
	TERM=xterm SHELL=/bin/sh script -q -f -e -c "$2" "$1" </dev/null >/dev/null
}

# shown FILE PATTERN
shown()
{
	[[ $(<"$1") == *$2* ]] || fail "the terminal got '$(<"$1")'"
}

# Metadata of new clusters, to be written when each write takes its time.
at=0
change()
{
	delay 0 0
	dd if=/dev/urandom of="$dev" bs=64k count=8 seek=$at oflag=direct status=none
	at=$((at + 8))
	delay 0 400
}

slow_disk
qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2

say "freeze"
change
on_terminal "$mem/tty" "qcow2ctl freeze $dev"
shown "$mem/tty" $'\r\e[K'"qcow2ctl: freeze: $dev: freezing: "*", 1 s"*$'\r\e[K'
delay 0 0
qcow2ctl thaw "$dev"

say "freeze without a terminal"
change
TERM=xterm qcow2ctl freeze "$dev" >"$mem/out" 2>&1
[ ! -s "$mem/out" ] || fail "wrote '$(<"$mem/out")'"
delay 0 0
qcow2ctl thaw "$dev"

# What is frozen half is live again.
say "a signal while freezing"
change
status=0
# shellcheck disable=SC2016 # for the other shell
{ on_terminal "$mem/signal" 'echo $$ >pid; exec qcow2ctl window '"$dev"' -- touch ran' ||
	exit $?; } &
pid=$!
until [[ -e $mem/signal && $(<"$mem/signal") == *", 1 s"* ]]; do
	kill -0 "$pid" || fail "was over too early: $(<"$mem/signal")"
	sleep 0.1
done
kill -TERM "$(<pid)"
wait "$pid" || status=$?
[ "$status" = 143 ] || fail "status $status: $(<"$mem/signal")"
[ ! -e ran ] || fail "the command was run"
expect_state "$dev" live

say "detach"
change
on_terminal "$mem/tty" "qcow2ctl detach $dev"
shown "$mem/tty" "qcow2ctl: detach: $dev: detaching, "*", 1 s"
delay 0 0
check_clean a.qcow2
