#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# three devices over one base; small clusters on a disk with blocks of 4 KiB

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
cp --sparse=always base.qcow2 "$mem/before"
qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 a.qcow2
qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 -o cluster_size=4k b.qcow2
devs=() pids=()
for image in a b base; do
	options=()
	[ "$image" != base ] || options=(-r)
	attach "${options[@]}" "$image.qcow2"
	devs+=("$dev")
	[ "$image" != base ] || options=(--read-only)
	"$bin/diff_io" --dev "$dev" --seed "$(diff_seed ${#devs[@]})" \
		--ops 500 --depth 16 --init "$raw_content" "${options[@]}" \
		--model "$mem/model.$image" >"$mem/out.$image" 2>&1 &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || fail "$(cat "$mem"/out.*)"
done
detach "${devs[@]}"
cmp base.qcow2 "$mem/before" || fail "the base has changed"
for image in a b; do
	model=$mem/model.$image
	diff_verdict "$image.qcow2"
done

disk_4k
diff_seeds=2
diff_ops=300
for options in 512 4k 64k 16k,extended_l2=on; do
	qemu-img create -q -f qcow2 -o "cluster_size=$options" a.qcow2 8M
	diff_rounds a.qcow2 "" --cluster 16K
	diff_verdict a.qcow2
	say "clusters of $options"
done
