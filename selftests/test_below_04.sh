#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# images on disks with blocks of 4 KiB: XFS, btrfs, and the bare disk

. "${0%/*}/lib.sh"
. "$test_dir/below.sh"

# A SCSI disk with such blocks, its name into $scsi.
scsi_disk()
{
	local _

	modprobe -q scsi_debug sector_size=4096 dev_size_mb=640 delay=0 ||
		skip "the kernel has no scsi_debug"
	undo+=("modprobe -r scsi_debug")
	modprobe -q sd_mod
	for _ in {1..50}; do
		for scsi in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*; do
			[ -e "$scsi" ] && [ -b "/dev/${scsi##*/}" ] && break 2
		done
		sleep 0.1
	done
	scsi=/dev/${scsi##*/}
	[ "$(blockdev --getss "$scsi")" = 4096 ] || fail "$scsi has other blocks"
}

scsi_disk
for type in xfs btrfs; do
	"mkfs.$type" -q -f "$scsi" 2>/dev/null
	mount_at host "$scsi"
	cd host
	new_image small.qcow2 -o cluster_size=4k
	try_image 0 small.qcow2
	cd ..
	unmount host
done
# The image on the bare disk.
wipefs -qa "$scsi"
content 16M
qemu-img create -q -f qcow2 "$scsi" 16M
qemu-img convert -n -f raw -O qcow2 "$raw_content" "$scsi"
expect_buffered 0 "$scsi"
init=$raw_content
diff_image "$scsi"
