#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshots are made in windows in the middle of random I/O

. "${0%/*}/lib.sh"

# A quick image: the windows are to be where I/O is.
qemu-img create -q -f qcow2 a.qcow2 48M
attach a.qcow2
window="qcow2ctl window $dev -- qemu-img snapshot -c"
"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 0)" --ops 4000 --depth 24 \
	--model "$mem/model" \
	--exec-at 800 "$window s1 $disk/a.qcow2" \
	--exec-at 1800 "$window s2 $disk/a.qcow2" \
	--exec-at 2800 "$window s3 $disk/a.qcow2"
detach "$dev"
model=$mem/model
diff_verdict a.qcow2
list=$(qemu-img snapshot -l a.qcow2)
for name in s1 s2 s3; do
	[[ $list =~ [[:space:]]${name}[[:space:]] ]] || fail "no snapshot $name: $list"
done
# Without them, every cluster that is left must be in use once.
for name in s2 s1 s3; do
	qemu-img snapshot -d "$name" a.qcow2
done
diff_verdict a.qcow2
