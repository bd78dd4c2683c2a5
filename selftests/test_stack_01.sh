#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# GPT, LVM, dm-crypt, and ext4, XFS and btrfs on it; a window; a loop device reads it

. "${0%/*}/lib.sh"
. "$test_dir/stack.sh"

types=(ext4 xfs btrfs)

mount_types()
{
	local type

	for type in "${types[@]}"; do
		mount_at "mnt.$type" "/dev/mapper/crypt-$type"
	done
}

unmount_types()
{
	local i

	for ((i = ${#types[@]} - 1; i >= 0; i--)); do
		unmount "mnt.${types[i]}"
	done
}

# put NAME: a tree of headers.
put()
{
	local type

	for type in "${types[@]}"; do
		cp -r "/usr/include/$1" "mnt.$type/"
	done
}

# expect NAME: it is there.
expect()
{
	local type

	for type in "${types[@]}"; do
		diff -r "/usr/include/$1" "mnt.$type/$1" || fail "$type: $1 differs"
	done
}

# look_at RAW: in this copy of the disk, by a loop device.
look_at()
{
	loop=$(losetup --find --show --partscan "$1")
	undo+=("losetup -d $loop")
	stack_open "$loop" "${types[@]}"
	mount_types
}

look_away()
{
	unmount_types
	stack_close
	losetup -d "$loop"
	unset 'undo[-1]'
}

qemu-img create -q -f qcow2 a.qcow2 1200M
attach a.qcow2
stack_make "$dev" "${types[@]}"
mount_types
put asm-generic
sync
# While there are writers: the snapshot is what a power cut would leave.
(
	trap - ERR EXIT
	for type in "${types[@]}"; do
		cp -r /usr/include/sound "mnt.$type/"
	done
) &
writer=$!
qcow2ctl window "$dev" -- qemu-img snapshot -c crash a.qcow2
wait "$writer"
# With the file systems frozen: what an unmount would leave.
for type in "${types[@]}"; do
	fsfreeze -f "mnt.$type"
done
qcow2ctl window --no-fs-freeze "$dev" -- qemu-img snapshot -c frozen a.qcow2
for type in "${types[@]}"; do
	fsfreeze -u "mnt.$type"
	rm -r "mnt.$type/sound"
done
put rdma
unmount_types
stack_close
detach "$dev"
check_clean a.qcow2

to_raw a.qcow2 "$mem/crash" -l snapshot.name=crash
look_at "$mem/crash"
expect asm-generic
look_away
rm "$mem/crash"
to_raw a.qcow2 "$mem/frozen" -l snapshot.name=frozen
look_at "$mem/frozen"
expect asm-generic
expect sound
look_away
rm "$mem/frozen"
to_raw a.qcow2 "$mem/raw"
look_at "$mem/raw"
expect asm-generic
expect rdma
for type in "${types[@]}"; do
	[ ! -e "mnt.$type/sound" ] || fail "$type: what was removed is there"
done
look_away
