#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a file that must not be written is refused unless read-only

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 8M
qemu-img create -q -f qcow2 free.qcow2 8M

chmod 0444 a.qcow2
refused "a.qcow2.*read-only file" qcow2ctl attach a.qcow2
attach -r a.qcow2
detach "$dev"
chmod 0644 a.qcow2

chattr +i a.qcow2
refused "a.qcow2.*immutable" qcow2ctl attach a.qcow2
attach -r a.qcow2
detach "$dev"
chattr -i a.qcow2

mkdir sub
mv a.qcow2 sub
mount_at ro --bind sub
mount -o remount,ro,bind ro
refused "a.qcow2.*read-only file system" qcow2ctl attach ro/a.qcow2
attach -r ro/a.qcow2
detach "$dev"
unmount ro

# An image may be on a block device, and that be read-only.
truncate -s 1M free.qcow2
loop=$(losetup -r -f --show free.qcow2)
status=0
(refused "${loop}.*(read-only|permission)" qcow2ctl attach "$loop") || status=$?
losetup -d "$loop"
[ "$status" = 0 ] || exit 1
attach sub/a.qcow2
detach "$dev"
check_usable
