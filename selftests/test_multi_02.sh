#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 200 times attach and detach under I/O, without a leak

. "${0%/*}/lib.sh"

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

# What each cache has in use, and each kind of page in KiB, into $used: as
# exact as can be, as what waits to be used again is let go of.
measure()
{
	local file name value rest pages=0

	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 1
	for file in /sys/kernel/slab/*/shrink; do
		echo 1 >"$file"
	done
	echo 1 >/proc/sys/vm/compact_memory
	used=()
	while read -r name value rest; do
		[[ ! $value =~ ^[0-9]+$ ]] || used[$name]=$value
	done </proc/slabinfo
	# Those of stacks of threads that have ended go in large batches.
	unset 'used[vmap_area]'
	# What the checks of a debug kernel note of objects that others count.
	unset 'used[debug_objects_cache]' 'used[kmemleak_object]'
	# What nobody accounts for.
	while read -r name value rest; do
		case $name in
		MemTotal:) pages=$value ;;
		MemFree:|Buffers:|Cached:|Slab:|AnonPages:|PageTables:|KernelStack:|Percpu:|VmallocUsed:)
			pages=$((pages - value)) ;;
		esac
		case $name in
		KernelStack:|Percpu:|VmallocUsed:) used[$name]=$value ;;
		esac
	done </proc/meminfo
	used[pages:]=$pages
}

# compare ROUNDS: into $grown what has grown with the rounds since the last
# measurement. A page of each, an object of nine in ten.
compare()
{
	local name more

	measure
	grown=' '
	for name in "${!used[@]}"; do
		more=$((used[$name] - ${before[$name]:-0}))
		before[$name]=${used[$name]}
		case $name in
		*:) [ "$more" -lt $(($1 * 4)) ] || grown+="$name " ;;
		*) [ "$more" -lt $(($1 * 9 / 10)) ] || grown+="$name " ;;
		esac
	done
}

declare -A used before
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
