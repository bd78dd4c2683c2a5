#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a disk grows and shrinks in a window; what is in use is not cut off

. "${0%/*}/lib.sh"

size()
{
	local sectors

	read -r sectors <"/sys/block/${dev##*/}/size"
	[ $((sectors * 512)) = $(($1 << 20)) ] || fail "$sectors sectors, not $1 MiB"
}

qemu-img create -q -f qcow2 a.qcow2 128M
attach a.qcow2
mkfs.ext4 -q "$dev" 64M
mount_at mnt "$dev"
echo text >mnt/file

# Grown online, with the file system.
qcow2ctl window "$dev" -- qemu-img resize -q -f qcow2 a.qcow2 256M
size 256
resize2fs "$dev"
[ "$(stat -f -c %b mnt)" -gt $((200 << 20 >> 12)) ] || fail "ext4 has not grown"

# Not made smaller under it. The window stays open, and can be mended.
status=0
qcow2ctl window "$dev" -- qemu-img resize -q --shrink -f qcow2 a.qcow2 192M \
	2>"$mem/err" || status=$?
[ "$status" = 124 ] || fail "status $status"
[[ $(<"$mem/err") == *"smaller than before"*"in use"* ]] || fail "said $(<"$mem/err")"
expect_state "$dev" frozen
qemu-img resize -q -f qcow2 a.qcow2 256M
qcow2ctl thaw "$dev"
size 256
[ "$(<mnt/file)" = text ] || fail "the file is gone"
unmount mnt

# Nobody's: made smaller.
qcow2ctl window "$dev" -- qemu-img resize -q --shrink -f qcow2 a.qcow2 192M
size 192

# By force also under a mount: whoever does it knows why.
mkfs.ext4 -q -F "$dev" 64M
mount_at mnt "$dev"
qcow2ctl freeze "$dev"
qemu-img resize -q --shrink -f qcow2 a.qcow2 128M
refused "smaller" qcow2ctl thaw "$dev"
qcow2ctl thaw --force "$dev"
size 128
unmount mnt

# Partitions: only the one that is cut counts.
printf 'start=2048,size=64M\nstart=200000,size=16M\n' | sfdisk -q "$dev"
mkfs.ext4 -q "${dev}p1"
mount_at mnt "${dev}p1"
qcow2ctl window "$dev" -- qemu-img resize -q --shrink -f qcow2 a.qcow2 80M
size 80
qcow2ctl freeze "$dev"
qemu-img resize -q --shrink -f qcow2 a.qcow2 48M
refused "smaller" qcow2ctl thaw "$dev"
qemu-img resize -q -f qcow2 a.qcow2 80M
qcow2ctl thaw "$dev"
unmount mnt
detach "$dev"
check_clean a.qcow2
