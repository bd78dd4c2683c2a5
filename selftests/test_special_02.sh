#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# the largest disk of each cluster size that QEMU makes

. "${0%/*}/lib.sh"

# range OFFSET: of the disk in a.qcow2, as one of the things to convert.
range()
{
	ranges+=("driver=raw,offset=$1,size=$span,file.driver=qcow2,\
file.file.driver=file,file.file.filename=a.qcow2")
}

# The L1 table has 32 MiB at most: that many entries, each of which is for as
# many clusters as there are entries in one.
for cluster in 512 4096 65536 2097152; do
	size=$(((4 << 20) * (cluster / 8) * cluster))
	qemu-img create -q -f qcow2 -o "cluster_size=$cluster" b.qcow2 \
		$((size + cluster)) 2>"$mem/err" &&
		fail "QEMU makes more than $size bytes with clusters of $cluster"
	qemu-img create -q -f qcow2 -o "cluster_size=$cluster" a.qcow2 "$size"
	before=${EPOCHREALTIME/./}
	attach a.qcow2
	took=$((${EPOCHREALTIME/./} - before))
	say "clusters of $cluster, $size bytes: attached in $((took / 1000)) ms"
	[ "$took" -lt 5000000 ] || fail "attach took $((took / 1000)) ms"
	[ "$(<"/sys/block/${dev##*/}/size")" = $((size / 512)) ] ||
		fail "$dev has not $size bytes"
	span=$((cluster > 65536 ? 4 * cluster : 1048576))
	: >"$mem/written"
	ranges=()
	for at in 0 $((size / 2 - span / 2)) $((size - span)); do
		"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 0)" --ops 60 \
			--depth 8 --cluster "$cluster" --offset "$at" \
			--size "$span" --model "$mem/model" >/dev/null
		dd if="$mem/model" bs=1M iflag=skip_bytes skip="$at" \
			status=none >>"$mem/written"
		range "$at"
	done
	detach "$dev"
	check_clean a.qcow2
	# All three by one process: starting is what takes the time.
	qemu-img convert --image-opts -O raw "${ranges[@]}" "$mem/read"
	cmp "$mem/read" "$mem/written" || fail "QEMU reads other content"
	rm a.qcow2
done
