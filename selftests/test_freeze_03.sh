#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# freeze twice, thaw what is live, and what the others say of it

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2
refused "not frozen" qcow2ctl thaw "$dev"
qcow2ctl freeze "$dev"
refused "frozen" qcow2ctl freeze "$dev"
refused "frozen" qcow2ctl window "$dev" -- true
[ "$status" = 125 ] || fail "window: status $status"
list=$(qcow2ctl list -n -r -o NAME,STATE)
[ "$list" = "$dev frozen" ] || [ "$list" = "${dev##*/} frozen" ] ||
	fail "list says '$list'"
info=$(qcow2ctl info "$dev")
[[ $info == *frozen* ]] || fail "info says '$info'"
qcow2ctl thaw "$dev"
refused "not frozen" qcow2ctl thaw "$dev"
expect_state "$dev" live
"$bin/diff_io" --dev "$dev" --seed 1 --ops 50 --depth 8 >/dev/null
detach "$dev"
check_clean a.qcow2
