#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# detach by force: every request that waits fails, and everything is freed

. "${0%/*}/lib.sh"

# Images on a disk that can be made slow, so that requests are under way.
slow_disk
qemu-img create -q -f qcow2 other.qcow2 16M
attach other.qcow2
other=$dev

# read_all BLOCK: 4 MiB from there. A device that is gone has no bytes: who comes
# later finds the end of it, which is no error.
read_all()
{
	dd if="$dev" of="$mem/read.$1" bs=64k count=64 skip="$1" iflag=direct \
		status=none 2>/dev/null || return
	[ "$(stat -c %s "$mem/read.$1")" = $((4 << 20)) ] || return 1
}

# load: processes with I/O of all kinds, into $pids, none of which ends within
# the next second, as the disk is slow or the device frozen.
load()
{
	local i

	pids=()
	for ((i = 0; i < 9; i++)); do
		case $((i % 3)) in
		0) dd if=/dev/zero of="$dev" bs=64k count=64 seek=$((i * 64)) \
			oflag=direct status=none 2>/dev/null & ;;
		1) read_all $((i * 64)) & ;;
		2) dd if=/dev/zero of="$dev" bs=64k count=256 seek=$((i * 64)) \
			conv=fsync,notrunc status=none 2>/dev/null & ;;
		esac
		pids+=($!)
	done
}

# under_way: is all of it under way, after time enough to start?
under_way()
{
	local pid

	sleep 1
	for pid in "${pids[@]}"; do
		kill -0 "$pid" 2>/dev/null || fail "I/O ends too early"
	done
}

# fails_all: each of them must end with an error, and soon.
fails_all()
{
	local i

	for i in "${!pids[@]}"; do
		! wait "${pids[i]}" || fail "I/O to a device that is gone succeeds ($i)"
	done
	exec {fd}>&-
	for ((i = 0; i < 100; i++)); do
		[ -e "/sys/block/${dev##*/}" ] || break
		sleep 0.1
	done
	[ ! -e "/sys/block/${dev##*/}" ] || fail "the device is still there"
	"$bin/diff_io" --dev "$other" --seed 1 --ops 20 --depth 4 >/dev/null
	# Nothing of it holds the image, nor the module.
	check_clean a.qcow2
	read -r users </sys/module/blkqcow2/refcnt
	# One for the device, one for its disk.
	[ "$users" -le "$idle" ] || fail "the module has $users users, not $idle"
}

read -r idle </sys/module/blkqcow2/refcnt
qemu-img create -q -f qcow2 -o lazy_refcounts=on a.qcow2 64M
qemu-io -f qcow2 -c "write 0 64M" a.qcow2 >/dev/null

# Under way on a slow disk.
attach a.qcow2
exec {fd}<>"$dev"
delay 200 1500
load
under_way
qcow2ctl detach -f "$dev"
delay 0 0
fails_all

# Waiting for the end of a window.
attach a.qcow2
exec {fd}<>"$dev"
qcow2ctl freeze "$dev"
load
blkdiscard -f -z -l 4M "$dev" 2>/dev/null &
pids+=($!)
blkdiscard -f -o 4M -l 4M "$dev" 2>/dev/null &
pids+=($!)
under_way
qcow2ctl detach -f "$dev"
fails_all

# A file system, in a window and not.
for window in 0 1; do
	attach a.qcow2
	mkfs.ext4 -q "$dev"
	mount_at mnt "$dev"
	exec {fd}<>"$dev"
	pids=()
	[ "$window" = 0 ] || qcow2ctl freeze "$dev"
	for i in 1 2 3; do
		dd if=/dev/zero of="mnt/$i" bs=64k count=256 conv=fsync \
			status=none 2>/dev/null &
		pids+=($!)
	done
	sleep 0.3
	qcow2ctl detach -f "$dev"
	for pid in "${pids[@]}"; do
		wait "$pid" || :
	done
	# Before that the disk is held by what is mounted.
	pids=()
	unmount mnt
	fails_all
done
detach "$other"
check_clean other.qcow2
check_usable
# No file of an image is open any more: locks are dropped before.
cd ..
unmount host
