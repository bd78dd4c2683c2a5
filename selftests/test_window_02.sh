#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshots made in the middle of I/O keep what the image held then

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" a.qcow2
attach a.qcow2
# In the window QEMU is asked what the image holds: that is what the snapshot
# must hold for ever.
cat >snap <<END
set -e
qemu-img snapshot -c "\$1" $disk/a.qcow2
qemu-img convert -f qcow2 -O raw $disk/a.qcow2 $mem/\$1.raw
END
window="qcow2ctl window $dev -- sh $disk/snap"
"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 0)" --ops 2500 --depth 32 \
	--init "$raw_content" --model "$mem/model" \
	--exec-at 500 "$window s1" --exec-at 1500 "$window s2"
detach "$dev"
model=$mem/model
diff_verdict a.qcow2
for name in s1 s2; do
	to_raw a.qcow2 "$mem/after.raw" -l "snapshot.name=$name"
	cmp "$mem/after.raw" "$mem/$name.raw" || fail "snapshot $name has changed"
	cmp -s "$mem/after.raw" "$mem/model" && fail "no I/O after $name"
done
exit 0
