#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 210 times attach and detach under I/O, without a leak

. "${0%/*}/lib.sh"
. "$test_dir/leak.sh"

rounds=210
qemu-img create -q -f qcow2 a.qcow2 32M
qemu-img create -q -f qcow2 b.qcow2 32M

# under_io ROUNDS: with another device busy all the time.
under_io()
{
	local busy

	rm -f stop
	attach b.qcow2
	while [ ! -e stop ]; do
		"$bin/diff_io" --dev "$dev" --seed 1 --ops 300 --depth 4 \
			--size 8M --init "$mem/b" --model "$mem/b"
	done >"$mem/busy" &
	busy=$!
	"$bin/attach_loop" a.qcow2 "$1"
	: >stop
	wait "$busy" || fail "the other device: $(<"$mem/busy")"
	detach "$dev"
}

: >"$mem/b"
under_io 20
compare 1
# What is leaked grows in each third, what only comes and goes does not.
for third in 1 2 3; do
	under_io $((rounds / 3))
	compare $((rounds / 3))
	say "grown in third $third:$grown"
	[ "$third" != 1 ] || always=$grown
	for name in $always; do
		[[ $grown == *" $name "* ]] || always=${always/ $name / }
	done
done
[ "$always" = ' ' ] || fail "grows with the rounds:$always"
check_clean b.qcow2
check_clean a.qcow2
