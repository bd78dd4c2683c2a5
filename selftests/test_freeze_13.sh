#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshots of mounted file systems, on the disk and on partitions, need no recovery

. "${0%/*}/lib.sh"
. "$test_dir/snapshot_fs.sh"

try_all ext4
try_all xfs

# Unless it is asked for otherwise.
rm a.qcow2
qemu-img create -q -f qcow2 a.qcow2 1G
attach a.qcow2
make_fs ext4 "$dev"
mount_at mnt "$dev"
qcow2ctl freeze --no-fs-freeze "$dev"
[[ $(qcow2ctl info "$dev") == *"file-systems-frozen: no"* ]] || fail "are frozen"
qcow2ctl thaw "$dev"
unmount mnt
detach "$dev"
