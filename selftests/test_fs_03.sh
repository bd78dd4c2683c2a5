#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# partitions are found, hold a file system, and are found again

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 256M
attach a.qcow2
printf '%s\n' 'label: gpt' 'size=100M' 'size=100M' | sfdisk -q "$dev"
[ -b "${dev}p1" ] || fail "no ${dev}p1 after sfdisk"
[ -b "${dev}p2" ] || fail "no ${dev}p2 after sfdisk"
mkfs.ext4 -q "${dev}p2"
mount_at mnt "${dev}p2"
cp -r /usr/include/linux/netfilter* mnt/
# A device is in use if a partition is.
refused "in use" qcow2ctl detach "$dev"
unmount mnt
detach "$dev"
[ -b "${dev}p1" ] && fail "${dev}p1 is left after detach"
check_clean a.qcow2

attach a.qcow2
[ -b "${dev}p1" ] || fail "no ${dev}p1 after attach"
[ -b "${dev}p2" ] || fail "no ${dev}p2 after attach"
mount_at mnt -o ro "${dev}p2"
for path in /usr/include/linux/netfilter*; do
	diff -r "$path" "mnt/${path##*/}" || fail "$path differs"
done
unmount mnt
"$bin/diff_io" --dev "${dev}p1" --seed 1 --ops 200 --depth 16
detach "$dev"
check_clean a.qcow2
