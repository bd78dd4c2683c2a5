#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a signal to qcow2ctl window ends the command and thaws

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2
for signal in TERM INT; do
	# Of background jobs bash has SIGINT ignored.
	env --default-signal=INT qcow2ctl window "$dev" -- sleep 60 &
	pid=$!
	for ((i = 0; i < 100; i++)); do
		get_state "$dev"
		[ "$state" != frozen ] || break
		sleep 0.1
	done
	expect_state "$dev" frozen
	# The command must have been started, too.
	sleep 0.5
	kill -"$signal" "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" = $((128 + $(kill -l $signal))) ] ||
		fail "status $status after SIG$signal"
	expect_state "$dev" live
done
"$bin/diff_io" --dev "$dev" --seed 1 --ops 50 --depth 8 >/dev/null
detach "$dev"
check_clean a.qcow2
