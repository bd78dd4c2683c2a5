#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# all that qemu-img does with an image, in windows, without attaching again

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 mid.qcow2
qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 a.qcow2
attach a.qcow2
seed=0
cp "$raw_content" "$mem/now"

# work: I/O, of which the device must remember all from one window to the next.
work()
{
	seed=$((seed + 1))
	"$bin/diff_io" --dev "$dev" --seed "$seed" --ops 60 --depth 8 --init "$mem/now" \
		--model "$mem/next" >/dev/null
	mv "$mem/next" "$mem/now"
}

# window COMMAND...
window()
{
	work
	say "$*"
	qcow2ctl window "$dev" -- "$@" >"$mem/out"
	expect_state "$dev" live
}

window qemu-img snapshot -c s1 a.qcow2
cp "$mem/now" "$mem/s1"
window qemu-img snapshot -c s2 a.qcow2
cp "$mem/now" "$mem/s2"
window qemu-img snapshot -l a.qcow2
[[ $(<"$mem/out") == *s1*s2* ]] || fail "snapshots: $(<"$mem/out")"
window qemu-img snapshot -a s1 a.qcow2
cp "$mem/s1" "$mem/now"
window qemu-img snapshot -d s1 a.qcow2
window qemu-img snapshot -a s2 a.qcow2
cp "$mem/s2" "$mem/now"
window qemu-img snapshot -d s2 a.qcow2
window qemu-img check -q -r all a.qcow2
window qemu-img amend -o lazy_refcounts=on a.qcow2
window qemu-img amend -o lazy_refcounts=off a.qcow2
# Bitmaps that lived through writes are not to be trusted, and QEMU does not.
window qemu-img bitmap --add a.qcow2 b0
window qemu-img bitmap --remove a.qcow2 b0
# shellcheck disable=SC2016
window sh -ec 'for name in b1 b2; do qemu-img bitmap --add a.qcow2 $name; done
	qemu-img bitmap --merge b1 a.qcow2 b2'
window qemu-img bitmap --remove a.qcow2 b1
window qemu-img bitmap --remove a.qcow2 b2
window qemu-img map --output json a.qcow2
[[ $(<"$mem/out") == *'"start": 0'* ]] || fail "map: $(<"$mem/out")"
window qemu-img measure -O qcow2 -f qcow2 a.qcow2
window qemu-img info a.qcow2
[[ $(<"$mem/out") == *mid.qcow2* ]] || fail "info: $(<"$mem/out")"

# The chain: its names, its content, its depth.
work
cp base.qcow2 copy.qcow2
window sh -c 'qemu-img rebase -u -f qcow2 -F qcow2 -b copy.qcow2 mid.qcow2'
[[ $(qcow2ctl info "$dev") == *copy.qcow2* ]] || fail "rebase -u of a layer below"
window qemu-img rebase -f qcow2 -F qcow2 -b base.qcow2 a.qcow2
[[ $(qcow2ctl info "$dev") == *"layers: 2"* ]] || fail "rebase"
window qemu-img commit -q -f qcow2 a.qcow2
window qemu-img rebase -f qcow2 -b "" a.qcow2
[[ $(qcow2ctl info "$dev") == *"layers: 1"* ]] || fail "rebase to no base"

# Its size.
truncate -s 24M "$mem/now"
qcow2ctl window "$dev" -- qemu-img resize -q -f qcow2 a.qcow2 24M
work
truncate -s 12M "$mem/now"
qcow2ctl window "$dev" -- qemu-img resize -q --shrink -f qcow2 a.qcow2 12M
work

# And the two with a command of their own.
qcow2ctl snapshot "$dev" s3
cp "$mem/now" "$mem/s3"
work
refused "needs a name" qcow2ctl snapshot "$dev" ""
refused "a device and a name" qcow2ctl snapshot "$dev"
detach "$dev"
model=$mem/now
diff_verdict a.qcow2
to_raw a.qcow2 "$mem/raw" -l snapshot.name=s3
cmp "$mem/raw" "$mem/s3" || fail "snapshot s3 is not what the device held"
