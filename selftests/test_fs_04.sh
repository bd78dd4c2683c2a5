#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ext4 on an overlay: the base keeps the old tree, the overlay the new

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 base.qcow2 512M
attach base.qcow2
mkfs.ext4 -q "$dev"
mount_at mnt "$dev"
cp -r /usr/include/linux mnt/
unmount mnt
detach "$dev"
check_clean base.qcow2
cp --sparse=always base.qcow2 "$mem/base.before"

qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
attach a.qcow2
mount_at mnt "$dev"
rm -r mnt/linux/[a-m]*
cp -r /usr/include/asm-generic mnt/
unmount mnt
detach "$dev"
check_clean a.qcow2
cmp base.qcow2 "$mem/base.before" || fail "the base has changed"

attach a.qcow2
e2fsck -fn "$dev" >"$mem/fsck" 2>&1 || fail "e2fsck: $(<"$mem/fsck")"
mount_at mnt -o ro "$dev"
diff -r /usr/include/asm-generic mnt/asm-generic
[ ! -e mnt/linux/aio_abi.h ] || fail "a deleted file is there"
cmp /usr/include/linux/netlink.h mnt/linux/netlink.h
unmount mnt
detach "$dev"
attach -r base.qcow2
mount_at mnt -o ro,noload "$dev"
diff -r /usr/include/linux mnt/linux
unmount mnt
detach "$dev"
