#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# wrong device names, wrong words

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 8M
for name in /dev/qcow27 qcow27 7 /dev/null /dev/vda vda qcow2 /dev/qcow2 \
	    /dev/qcow2-control /dev/qcow2x "" -1 99999999999999999999 a.qcow2 /; do
	refused "${name//[^a-z0-9]/.}" qcow2ctl detach -- "$name"
done
attach a.qcow2
for name in /dev/qcow27 /dev/vda 07x nonsense; do
	for command in detach info freeze thaw; do
		refused "$name" qcow2ctl "$command" "$name"
	done
	refused "$name" qcow2ctl window "$name" -- true
	[ "$status" != 0 ] || fail "window: status $status"
done
expect_state "$dev" live
# A partition is not the device.
printf '%s\n' 'label: dos' 'size=1M' | sfdisk -q "$dev"
refused "qcow2.*p1" qcow2ctl detach "${dev}p1"
for words in "" nonsense --nonsense "attach --nonsense" "freeze" "thaw" \
	     "window" "detach" "attach -i x a.qcow2" "attach -i -1 a.qcow2" \
	     "detach -d -f $dev" "window $dev"; do
	# shellcheck disable=SC2086
	refused "" qcow2ctl $words
	[ "$status" = 2 ] || fail "status $status, not 2: qcow2ctl $words"
done
expect_state "$dev" live
ln -s "$dev" by-name
qcow2ctl info by-name >/dev/null
detach by-name
check_usable
