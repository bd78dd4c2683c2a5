#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a thaw that waits for space itself: resume lets it go on, a forced detach ends it

. "${0%/*}/lib.sh"
. "$test_dir/stuck.sh"

small_disk 160
cd host
stuck
rm filler rest
qcow2ctl resume "$dev"
wait "$thaw" || fail "thaw: $(<"$mem/err")"
echo more >mnt/file
sync mnt/file
unmount mnt
detach "$dev"
check_clean a.qcow2

rm a.qcow2
stuck
qcow2ctl detach -f "$dev"
ended
