#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ext4: copy a tree, detach, attach again, fsck, compare

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 512M
tree_test ext4
e2fsck -fn "$dev" >"$mem/fsck" 2>&1 || fail "e2fsck: $(<"$mem/fsck")"
tree_compare
