# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Does what a test does many times over leave memory behind? For tests that
# have sourced lib.sh: measure now and then with compare, and see what has
# grown each time.

declare -A used before
kasan=$(grep -m 1 ' kasan_report$' /proc/kallsyms) || :

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
	# Not every kernel has it.
	[ ! -e /proc/sys/vm/compact_memory ] || echo 1 >/proc/sys/vm/compact_memory
	used=()
	while read -r name value rest; do
		[[ ! $value =~ ^[0-9]+$ ]] || used[$name]=$value
	done </proc/slabinfo
	# Those of stacks of threads that have ended go in large batches.
	unset 'used[vmap_area]'
	# What the checks of a debug kernel note of objects that others count.
	unset 'used[debug_objects_cache]' 'used[kmemleak_object]'
	unset 'used[kmemleak_scan_area]'
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
	# With KASAN these go up and down by MiB, with shadows and stacks that it
	# keeps: pages that are leaked show on kernels without.
	[ -z "$kasan" ] || unset 'used[pages:]'
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
