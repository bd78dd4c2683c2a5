#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lazy refcounts: the dirty bit is there while they lag, and a repair mends that

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

# dirty YES: is the bit set in the file?
dirty()
{
	be64 72
	[ "$value" = "$1" ] || fail "incompatible features are $value, not $1"
}

qemu-img create -q -f qcow2 -o lazy_refcounts=on a.qcow2 32M
attach a.qcow2
dd if="$dev" of=/dev/null bs=1M count=4 iflag=direct status=none
dirty 0
"$bin/diff_io" --dev "$dev" --seed 1 --ops 300 --depth 8 --model "$mem/model"
dirty 1
# What a power cut would leave: flushed, but not detached.
"$bin/diff_io" --dev "$dev" --seed 2 --ops 300 --depth 8 --init "$mem/model" \
	--model "$mem/model2"
sync "$dev"
cp a.qcow2 cut.qcow2
qcow2ctl freeze "$dev"
dirty 0
check_clean a.qcow2
qcow2ctl thaw "$dev"
dirty 0
dd if=/dev/zero of="$dev" bs=64k count=1 oflag=direct status=none
dirty 1
detach "$dev"
dirty 0
check_clean a.qcow2

mv cut.qcow2 a.qcow2
dirty 1
qemu-img check -f qcow2 a.qcow2 >/dev/null 2>&1 &&
	fail "refcounts did not lag: nothing is tested"
cp a.qcow2 before.qcow2
refused "a.qcow2.*not closed cleanly.*qemu-img check" \
	qcow2ctl attach --no-repair a.qcow2
cmp a.qcow2 before.qcow2
# To be read it needs no repair.
attach -r a.qcow2
cmp -n 32M "$dev" "$mem/model2"
detach "$dev"
cmp a.qcow2 before.qcow2
dev=$(qcow2ctl attach a.qcow2 2>"$mem/said")
[[ $(<"$mem/said") == *"not closed cleanly"*repair* ]] ||
	fail "said '$(<"$mem/said")' when it repaired"
cmp -n 32M "$dev" "$mem/model2"
detach "$dev"
check_clean a.qcow2
to_raw a.qcow2 "$mem/after"
cmp "$mem/after" "$mem/model2"
