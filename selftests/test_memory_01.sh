#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# allocations fail at random: requests take longer, none fails, nothing is lost

. "${0%/*}/lib.sh"

debug=/sys/kernel/debug
[ -d "$debug/failslab" ] || skip "this kernel cannot let allocations fail"

# Only what the workers allocate: programs would fail as well, else.
set_fail()
{
	local comm pid

	for pid in /proc/[0-9]*; do
		read -r comm 2>/dev/null <"$pid/comm" || continue
		[[ $comm != kworker/u* ]] || echo "$1" 2>/dev/null >"$pid/make-it-fail" || :
	done
}

fail_at()
{
	local what

	for what in failslab fail_page_alloc; do
		echo Y >"$debug/$what/task-filter"
		echo N >"$debug/$what/ignore-gfp-wait"
		echo 0 >"$debug/$what/verbose"
		echo -1 >"$debug/$what/times"
		echo "$1" >"$debug/$what/probability"
	done
	echo 0 >"$debug/fail_page_alloc/min-order"
}

undo+=("set_fail 0" "fail_at 0")
# Directly on a disk: how the file system below takes it is its own affair.
truncate -s 256M blocks
loop=$(losetup -f --show blocks)
undo+=("losetup -d $loop")
content 32M
fail_at 5
for options in cluster_size=64k cluster_size=4k,lazy_refcounts=on extended_l2=on; do
	qemu-img convert -f raw -O qcow2 -o "$options" "$raw_content" new.qcow2
	qemu-img snapshot -c s1 new.qcow2
	dd if=new.qcow2 of="$loop" bs=1M conv=fsync status=none
	attach --cache-size 1M "$loop"
	set_fail 1
	"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 1)" --ops 1000 --depth 16 \
		--discard --init "$raw_content" --model "$mem/model" \
		--exec-at 300 "qcow2ctl window $dev -- true"
	detach "$dev"
	set_fail 0
	check_copy "$loop"
	to_raw "$loop" "$mem/after.raw"
	cmp "$mem/after.raw" "$mem/model" || fail "QEMU reads other content"
	say "$options"
done
