#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a snapshot made under a mounted ext4 is consistent, and stays as it was

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 256M
attach a.qcow2
mkfs.ext4 -q "$dev"
mount_at mnt "$dev"
cp -r /usr/include/linux mnt/old
# In the page cache only, until the window.
cp -r /usr/include/asm-generic mnt/new
qcow2ctl window "$dev" -- qemu-img snapshot -c s1 a.qcow2

rm -r mnt/old/[a-k]*
cp -r /usr/include/linux mnt/later
for file in mnt/new/*; do
	echo changed >"$file"
done
unmount mnt
detach "$dev"
check_clean a.qcow2

to_raw a.qcow2 "$mem/s1.raw" -l snapshot.name=s1
# Frozen, so its journal is empty: nothing to recover.
out=$(dumpe2fs -h "$mem/s1.raw" 2>/dev/null)
[[ $out != *needs_recovery* ]] || fail "the journal was not empty"
e2fsck -fn "$mem/s1.raw" >"$mem/fsck" 2>&1 || fail "e2fsck: $(<"$mem/fsck")"
mount_at snap -o loop,ro,noload "$mem/s1.raw"
diff -r /usr/include/linux snap/old
diff -r /usr/include/asm-generic snap/new
[ ! -e snap/later ] || fail "the snapshot has what came later"
unmount snap

attach a.qcow2
e2fsck -fn "$dev" >"$mem/fsck" 2>&1 || fail "e2fsck: $(<"$mem/fsck")"
mount_at mnt -o ro "$dev"
diff -r /usr/include/linux mnt/later
[ ! -e mnt/old/aio_abi.h ] || fail "a deleted file is back"
unmount mnt
detach "$dev"
