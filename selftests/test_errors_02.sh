#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# errors below in the middle of random I/O: all that was flushed is there

. "${0%/*}/lib.sh"
. "$test_dir/errors.sh"

# commands FIRST BYTES: scripts that break and heal the disk.
commands()
{
	{
		declare -f new_table break_at heal
		echo "loop=$loop"
	} >functions.sh
	echo ". ./functions.sh; break_at all $1 $2" >break.sh
	echo ". ./functions.sh; heal" >heal.sh
}

bad_disk
disk=$((64 * 1024 * 1024))

# All of the data of some clusters fails, nothing else may.
qemu-img create -q -f qcow2 -o preallocation=full full.qcow2 16M
map=$(qemu-img map --output=json -f qcow2 full.qcow2)
[[ $map =~ \"offset\":\ ([0-9]+) ]] || fail "no data in $map"
dd if=full.qcow2 of=/dev/mapper/bad bs=1M conv=fsync status=none
commands $((BASH_REMATCH[1] + 4 * 1024 * 1024)) $((2 * 1024 * 1024))
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 1)" --ops 600 --depth 16 \
	--no-zero --may-fail 4M-6M --exec-at 200 "bash break.sh" \
	--exec-at 400 "bash heal.sh" --model "$mem/model" >"$mem/out" ||
	fail "$(<"$mem/out")"
[[ $(<"$mem/out") == *"Input/output error" ]] || fail "nothing failed"
expect_state "$dev" live
detach "$dev"
check_clean a.qcow2
to_raw a.qcow2 "$mem/after.raw"
cmp "$mem/after.raw" "$mem/model" || fail "QEMU reads other content"

# Now anything. If the device fails, it is as if the power had.
failed=0
for options in cluster_size=64k cluster_size=512 lazy_refcounts=on \
	       cluster_size=4k,refcount_bits=1 extended_l2=on; do
	for place in 1 13 200; do
		fresh_image -o "$options"
		commands $((place * 4096)) $((place * 16384))
		attach a.qcow2
		"$bin/diff_io" --dev "$dev" --seed "$(diff_seed "$place")" \
			--ops 240 --depth 16 --size 8M --discard \
			--may-fail 0-8M --exec-at 100 "bash break.sh" \
			--exec-at 240 "bash heal.sh" --model "$mem/model" --log "$mem/log" >"$mem/out" ||
			fail "$options, $place: $(<"$mem/out")"
		get_state "$dev"
		detach "$dev"
		# Where refcounts lag the dirty bit has stayed: then it is repaired.
		[[ $options == lazy* ]] || check_copy a.qcow2
		attach a.qcow2 2>/dev/null
		detach "$dev"
		check_copy a.qcow2
		to_raw a.qcow2 "$mem/after.raw"
		"$bin/diff_io" --verify "$mem/after.raw" --log "$mem/log" >"$mem/out" ||
			fail "$options, $place: $(<"$mem/out")"
		[ "$state" = live ] || failed=$((failed + 1))
	done
	say "$options, $failed devices have failed"
done
[ "$failed" != 0 ] || fail "no device has failed"
