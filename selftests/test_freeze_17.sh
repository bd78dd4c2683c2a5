#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapshots of a mounted btrfs, on the disk and on a partition, need no recovery

. "${0%/*}/lib.sh"
. "$test_dir/snapshot_fs.sh"

try_all btrfs
