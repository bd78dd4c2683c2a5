#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 200 times attach and detach under I/O, without a leak

. "${0%/*}/lib.sh"
. "$test_dir/leak.sh"

rounds=200
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
under_io $((rounds / 2))
compare $((rounds / 2))
first=$grown
say "grown in the first half:$first"
under_io $((rounds / 2))
compare $((rounds / 2))
say "grown in the second half:$grown"
# What is leaked grows in both halves, what only comes and goes does not.
for name in $first; do
	[[ $grown != *" $name "* ]] || fail "$name grows with the rounds"
done
check_clean b.qcow2
check_clean a.qcow2
