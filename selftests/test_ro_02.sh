#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# one base under several devices at once

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
cp --sparse=always base.qcow2 "$mem/before"
devs=()
for i in 1 2 3; do
	attach -r base.qcow2
	devs+=("$dev")
done
for i in 1 2; do
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "a$i.qcow2"
	attach "a$i.qcow2"
	devs+=("$dev")
done
# QEMU, too, may read what all of these read.
to_raw base.qcow2 "$mem/raw"
cmp "$mem/raw" "$raw_content"
pids=()
for i in 1 2; do
	"$bin/diff_io" --dev "${devs[i + 2]}" --seed "$i" --ops 400 --depth 16 \
		--init "$raw_content" --model "$mem/m$i" &
	pids+=($!)
done
for i in 0 2; do
	cmp "${devs[i]}" "$raw_content" || fail "${devs[i]} differs"
done
for pid in "${pids[@]}"; do
	wait "$pid"
done
detach "${devs[@]}"
cmp base.qcow2 "$mem/before" || fail "the base has changed"
for i in 1 2; do
	model=$mem/m$i
	diff_verdict "a$i.qcow2"
done
