#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# an image that a logical volume holds, without a file system; a larger volume

. "${0%/*}/lib.sh"
. "$test_dir/below.sh"
. "$test_dir/stack.sh"

truncate -s 256M disk
stack_disk=$(losetup -f --show disk)
undo+=("losetup -d $stack_disk")
volumes vgcreate stack "$stack_disk"
undo=("stack_close" "${undo[@]}")
volumes lvcreate -n image -L 24M -W n -Z n stack
volume=/dev/stack/image
content 16M
qemu-img create -q -f qcow2 "$volume" 16M
qemu-img convert -n -f raw -O qcow2 "$raw_content" "$volume"
cd /dev/stack
expect_buffered 0 image
init=$raw_content
diff_image image

# With a snapshot there is not room for all: the volume grows in the window.
init=$model
attach image
qcow2ctl freeze "$dev"
qemu-img snapshot -c s0 image
volumes lvextend -L 64M stack/image
qcow2ctl thaw "$dev"
dd if="$init" of="$dev" bs=1M oflag=direct status=none
detach "$dev"
window_in image
cd "$disk"
