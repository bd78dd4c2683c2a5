#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a power cut in a window leaves the image as it was frozen, or as qemu-img left it

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"
. "$test_dir/errors.sh"

# cut_power MODEL [OPTION]...: what a power cut would leave. What is in the page cache of the disk
# that the image lies on has not come to the file below it.
cut_power()
{
	cp --sparse=always blocks "$mem/cut"
	check_copy "$mem/cut"
	to_raw "$mem/cut" "$mem/cut.raw" "${@:2}"
	cmp -n 16M "$mem/cut.raw" "$mem/$1" || fail "not what was frozen: $*"
	rm "$mem/cut.raw"
}

bad_disk
# shellcheck disable=SC2119
fresh_image
attach a.qcow2
"$bin/diff_io" --dev "$dev" --size 16M --seed 1 --ops 300 --depth 8 \
	--model "$mem/m1" >/dev/null
qcow2ctl freeze "$dev"
cut_power m1
qemu-img snapshot -c s1 a.qcow2
cut_power m1
cut_power m1 -l snapshot.name=s1
qcow2ctl thaw "$dev"
"$bin/diff_io" --dev "$dev" --size 16M --seed 2 --ops 300 --depth 8 --init "$mem/m1" \
	--model "$mem/m2" >/dev/null
qcow2ctl freeze "$dev"
cut_power m2
cut_power m1 -l snapshot.name=s1
qcow2ctl thaw "$dev"
detach "$dev"
