#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# detach of what is in use, module removal while attached

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 64M
attach a.qcow2
mkfs.ext4 -q "$dev"
mount_at mnt "$dev"
echo one >mnt/file
refused "${dev}.*in use.*mounted.*mnt" qcow2ctl detach "$dev"
refused "${dev}.*in use.*mounted.*mnt" qcow2ctl detach -a
refused "in use" rmmod blkqcow2
expect_state "$dev" live
echo two >mnt/file
sync mnt/file
unmount mnt
exec {fd}<"$dev"
refused "${dev}.*in use" qcow2ctl detach "$dev"
refused "in use" rmmod blkqcow2
# Deferred: nothing happens until it is closed, then at once.
qcow2ctl detach -d "$dev"
expect_state "$dev" live
exec {fd}<&-
for ((i = 0; i < 50; i++)); do
	device_exists || break
	sleep 0.1
done
device_exists && fail "$dev is still there"
attach a.qcow2
refused "in use" rmmod blkqcow2
mount_at mnt "$dev"
[ "$(<mnt/file)" = two ] || fail "the file is lost"
unmount mnt
detach "$dev"
check_clean a.qcow2

ko=$(find /run/vm -name 'blkqcow2.ko') || :
rmmod blkqcow2
[ ! -e /dev/qcow2-control ] || fail "the control device is left"
refused "module|driver" qcow2ctl attach a.qcow2
if [ -n "$ko" ]; then insmod "$ko"; else modprobe blkqcow2; fi
check_usable
