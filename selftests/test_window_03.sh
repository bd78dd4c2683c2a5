#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshots are deleted in windows in the middle of random I/O

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" a.qcow2
qemu-img snapshot -c s1 a.qcow2
qemu-io -f qcow2 -c "write -P 0x41 4M 6M" a.qcow2 >/dev/null
qemu-img snapshot -c s2 a.qcow2
to_raw a.qcow2 "$mem/init.raw"
attach a.qcow2
window="qcow2ctl window $dev -- qemu-img snapshot"
"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 0)" --ops 3000 --depth 32 \
	--init "$mem/init.raw" --model "$mem/model" \
	--exec-at 600 "$window -d s1 $disk/a.qcow2" \
	--exec-at 1200 "$window -c s3 $disk/a.qcow2" \
	--exec-at 1800 "$window -d s2 $disk/a.qcow2" \
	--exec-at 2400 "$window -d s3 $disk/a.qcow2"
detach "$dev"
model=$mem/model
diff_verdict a.qcow2
list=$(qemu-img snapshot -l a.qcow2)
[ -z "$list" ] || fail "snapshots are left: $list"
