#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# images on XFS, and a reflinked copy; on ext4 that writes all data to its journal

. "${0%/*}/lib.sh"
. "$test_dir/below.sh"

host_disk xfs
cd host
try_reflinked
cd ..
unmount host
xfs_repair -n below >"$mem/check" 2>&1 || fail "xfs_repair: $(<"$mem/check")"

# There it has no direct I/O, and says so.
mount_options=data=journal
rm below
host_disk ext4
cd host
new_image plain.qcow2
try_image 1 plain.qcow2
cd ..
unmount host
e2fsck -fn below >"$mem/check" 2>&1 || fail "e2fsck: $(<"$mem/check")"
