#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a window with I/O to an overlay, while its base is shared

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
attach -r base.qcow2
base_dev=$dev
attach a.qcow2
window="qcow2ctl window $dev -- qemu-img snapshot"
"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 0)" --ops 1500 --depth 16 \
	--buffered 20 --init "$raw_content" --model "$mem/model" \
	--exec-at 400 "$window -c s1 $disk/a.qcow2" \
	--exec-at 900 "$window -d s1 $disk/a.qcow2"
detach "$dev" "$base_dev"
model=$mem/model
diff_verdict a.qcow2
to_raw base.qcow2 "$mem/base.raw"
cmp "$mem/base.raw" "$raw_content" || fail "the base has changed"
