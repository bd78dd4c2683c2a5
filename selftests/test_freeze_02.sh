#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qemu-img is locked out of a live image, and let in by a window

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 100 --depth 8 >/dev/null
locked_out qemu-img snapshot -c s0 a.qcow2
locked_out qemu-io -f qcow2 -c "write 0 512" a.qcow2
# To read is refused as well: what is on disk may be half of the truth.
locked_out qemu-img convert -f qcow2 -O raw a.qcow2 "$mem/x.raw"

qcow2ctl window "$dev" -- qemu-img snapshot -c s1 a.qcow2
qcow2ctl freeze "$dev"
qemu-img snapshot -c s2 a.qcow2
qcow2ctl thaw "$dev"
locked_out qemu-img snapshot -c s3 a.qcow2
detach "$dev"
check_clean a.qcow2
list=$(qemu-img snapshot -l a.qcow2)
for name in s1 s2; do
	[[ $list == *" $name "* ]] || fail "no snapshot $name: $list"
done
for name in s0 s3; do
	[[ $list != *" $name "* ]] || fail "there is a snapshot $name: $list"
done
