#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# xfs: copy a tree, detach, attach again, fsck, compare

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 512M
tree_test xfs
xfs_repair -n "$dev" >"$mem/fsck" 2>&1 || fail "xfs_repair: $(<"$mem/fsck")"
tree_compare
