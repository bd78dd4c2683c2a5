#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# writes after a window leave the snapshot bit by bit as it was

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" a.qcow2
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 400 --depth 8 --init "$raw_content" \
	--model "$mem/m1"
qcow2ctl window "$dev" -- qemu-img snapshot -c s1 a.qcow2
"$bin/diff_io" --dev "$dev" --seed 2 --ops 800 --depth 32 --init "$mem/m1" \
	--model "$mem/m2"
qcow2ctl window "$dev" -- qemu-img snapshot -c s2 a.qcow2
"$bin/diff_io" --dev "$dev" --seed 3 --ops 400 --depth 16 --init "$mem/m2" \
	--model "$mem/m3"
qcow2ctl freeze "$dev"
check_clean a.qcow2
cp a.qcow2 copy.qcow2
qcow2ctl thaw "$dev"
# Back to an old state under a device that is attached.
qcow2ctl window "$dev" -- qemu-img snapshot -a s1 a.qcow2
"$bin/diff_io" --dev "$dev" --seed 4 --ops 400 --depth 16 --init "$mem/m1" \
	--model "$mem/m4"
detach "$dev"
check_clean a.qcow2

same()
{
	to_raw "$1" "$mem/is.raw" "${@:3}"
	cmp "$mem/is.raw" "$mem/$2" || fail "$1 ${*:3} is not $2"
}
same a.qcow2 m4
same a.qcow2 m1 -l snapshot.name=s1
same a.qcow2 m2 -l snapshot.name=s2
same copy.qcow2 m3
qemu-img snapshot -a s1 copy.qcow2
same copy.qcow2 m1
qemu-img snapshot -a s2 copy.qcow2
same copy.qcow2 m2
