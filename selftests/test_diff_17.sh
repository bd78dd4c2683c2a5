#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to an image that needs more refcount blocks

. "${0%/*}/lib.sh"

# A refcount block covers 2 GiB of the file: it is that long already, and all
# of it is shared with a snapshot.
qemu-img create -q -f qcow2 -o preallocation=metadata a.qcow2 2032M
qemu-img snapshot -c all a.qcow2
diff_rounds a.qcow2 "" --offset 1G --size 32M
check_clean a.qcow2
size=$(stat -c %s a.qcow2)
[ "$size" -gt $((2 << 30)) ] || fail "the file is only $size bytes long"
to_raw a.qcow2 "$mem/after.raw"
cmp -i 1G "$mem/after.raw" "$model" -n 32M
