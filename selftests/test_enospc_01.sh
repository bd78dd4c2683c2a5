#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# the host's disk is full: writes fail with ENOSPC, and nothing is lost

. "${0%/*}/lib.sh"

small_disk 160
cd host
for options in cluster_size=64k cluster_size=4k,lazy_refcounts=on \
	       data_file=a.data; do
	qemu-img create -q -f qcow2 -o "$options" a.qcow2 256M
	attach a.qcow2
	leave_space 16
	# What ended without an error is there; of what did not, any part may be.
	"$bin/diff_io" --dev "$dev" --size 64M --seed "$(diff_seed 1)" --ops 800 \
		--depth 16 --may-fail 0-64M --model "$mem/model" >"$mem/out" ||
		fail "$(<"$mem/out")"
	[[ $(<"$mem/out") == *"No space left on device" ]] ||
		fail "the disk did not become full: $(<"$mem/out")"
	expect_state "$dev" live

	# With space again the same device goes on, and all is well in the end.
	rm filler
	"$bin/diff_io" --dev "$dev" --size 64M --seed "$(diff_seed 2)" \
		--ops 300 --depth 16 --init "$mem/model" --model "$mem/model.2"
	detach "$dev"
	check_clean a.qcow2
	to_raw a.qcow2 "$mem/after.raw"
	truncate -s 64M "$mem/after.raw"
	cmp "$mem/after.raw" "$mem/model.2" || fail "QEMU reads other content"
	say "$options"
	rm -f a.*
done
