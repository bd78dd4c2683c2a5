#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# at shutdown a device whose thaw waits for space is tried again, and then ended by force

. "${0%/*}/lib.sh"
. "$test_dir/stuck.sh"

small_disk 160
cd host
stuck
sed 's|@sbindir@/||' "$test_dir/../ctl/systemd/qcow2-detach.in" >"$mem/detach"
QCOW2_PATIENCE=3 timeout 60 sh "$mem/detach" --all 2>"$mem/err" || fail "$(<"$mem/err")"
[[ $(<"$mem/err") == *"$dev is ended by force"* ]] || fail "said: $(<"$mem/err")"
! device_exists || fail "$dev is still there"
ended
