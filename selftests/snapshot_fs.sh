# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Snapshots of mounted file systems, and whether they are as if unmounted.

# make_fs TYPE DEVICE
make_fs()
{
	case $1 in
	btrfs|xfs)	"mkfs.$1" -q -f "$2" ;;
	*)	"mkfs.$1" -q "$2" ;;
	esac
}

# must_be_clean TYPE FILE: unmounted, as far as the file system can tell.
must_be_clean()
{
	case $1 in
	ext4)
		[[ $(dumpe2fs -h "$2" 2>/dev/null) != *needs_recovery* ]] ||
			fail "ext4: its journal is not empty"
		e2fsck -fn "$2" >"$mem/fsck" 2>&1 || fail "e2fsck: $(<"$mem/fsck")"
		;;
	xfs)
		# XFS leaves a record in the log of whatever freezes it, by which a
		# mount sets right the count of free blocks: nothing else must be
		# missing without it.
		xfs_repair -n "$2" >"$mem/fsck" 2>&1 || true
		! grep -Eq 'would|bad |corrupt' "$mem/fsck" ||
			fail "xfs_repair: $(<"$mem/fsck")"
		;;
	btrfs)
		# Of files synced one by one there would be a log to replay.
		[[ $(btrfs inspect-internal dump-super "$2") =~ log_root[[:space:]]+0[[:space:]] ]] ||
			fail "btrfs: there is a log to replay"
		btrfs check "$2" >"$mem/fsck" 2>&1 || fail "btrfs: $(<"$mem/fsck")"
		;;
	esac
}

# read_only TYPE: how to mount it so that a journal cannot be replayed.
read_only()
{
	case $1 in
	ext4)	echo ro,noload ;;
	xfs)	echo ro,norecovery,nouuid ;;
	btrfs)	echo ro,rescue=nologreplay ;;
	esac
}

# fill DIR NAME: files that are synced one by one, and some that are not.
fill()
{
	local i

	for i in {1..8}; do
		echo "$2 $i" >"$1/$2.$i"
		[ $((i % 2)) = 0 ] || sync "$1/$2.$i"
	done
}

# verify DIR NAME
verify()
{
	local i

	for i in {1..8}; do
		[ "$(<"$1/$2.$i")" = "$2 $i" ] || fail "$2.$i: '$(<"$1/$2.$i")'"
	done
}

# must_wait DIR: who writes there waits.
must_wait()
{
	echo waits >"$1/waiter" &
	waits $!
	writer=$!
}

try()
{
	local type=$1 part=$2 where

	say "$type $part"
	rm -f a.qcow2
	qemu-img create -q -f qcow2 a.qcow2 1G
	attach a.qcow2
	where=$dev
	if [ "$part" = partition ]; then
		printf 'start=2048,size=16M\nstart=65536\n' | sfdisk -q "$dev"
		where=${dev}p2
	fi
	make_fs "$type" "$where"
	mount_at mnt "$where"
	fill mnt before
	qcow2ctl freeze "$dev"
	must_wait mnt
	qemu-img snapshot -c s1 a.qcow2
	qcow2ctl thaw "$dev"
	wait "$writer"
	rm mnt/before.*
	fill mnt after
	unmount mnt
	detach "$dev"
	check_clean a.qcow2
	to_raw a.qcow2 "$mem/s1.raw" -l snapshot.name=s1
	loop=$(losetup --find --show --partscan "$mem/s1.raw")
	undo+=("losetup -d $loop")
	where=$loop
	[ "$part" != partition ] || where=${loop}p2
	must_be_clean "$type" "$where"
	mount_at snap -o "$(read_only "$type")" "$where"
	verify snap before
	[ ! -e snap/after.1 ] || fail "the snapshot has what came later"
	unmount snap
	# And as anybody would mount it.
	mount_at snap -o "$([ "$type" != xfs ] || echo nouuid,)noatime" "$where"
	verify snap before
	unmount snap
	[ "$type" != xfs ] || xfs_repair -n "$where" >"$mem/fsck" 2>&1 ||
		fail "xfs_repair: $(<"$mem/fsck")"
	losetup -d "$loop"
	undo=()
}

# try_all TYPE: on the whole disk and on a partition.
try_all()
{
	modprobe "$1" 2>/dev/null || skip "this kernel has no $1"
	try "$1" disk
	try "$1" partition
}
