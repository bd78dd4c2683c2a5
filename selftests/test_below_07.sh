#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# FUSE: whoever opens a window is killed while the daemon stands still

. "${0%/*}/lib.sh"

command -v fuse2fs >/dev/null || skip "no fuse2fs on this machine"
modprobe -q fuse || skip "the kernel has no FUSE"
truncate -s 512M below
mkfs.ext4 -q below
mkdir host
fuse2fs -f -o rw,fakeroot below host >"$mem/fuse" 2>&1 &
daemon=$!
mounts+=("$disk/host")
until mountpoint -q host; do
	kill -0 "$daemon" || fail "$(<"$mem/fuse")"
	sleep 0.1
done
cd host
content 16M
# Full, so that nothing has to be cut off before the last flush.
qemu-img create -q -f qcow2 -o preallocation=full a.qcow2 64M
attach a.qcow2
for i in {0..3}; do
	dd if="$raw_content" of="$dev" bs=64k count=4 seek=$((256 + 4 * i)) skip="$i" \
		oflag=direct conv=notrunc status=none
	kill -STOP "$daemon"
	# Not qcow2ctl, which would wait for the file before the driver does.
	echo "freeze ${dev#/dev/qcow2}" | "$bin/lock_bytes" /dev/null >/dev/null &
	freeze=$!
	sleep 0.5
	kill -KILL "$freeze"
	sleep 0.2
	kill -CONT "$daemon"
	wait "$freeze" 2>/dev/null || :
	for _ in {1..300}; do
		get_state "$dev"
		[ "$state" = freezing ] || break
		sleep 0.1
	done
	[ "$state" = live ] || qcow2ctl thaw "$dev" || fail "it is $state and cannot be thawed"
	dd if="$raw_content" of="$dev" bs=64k count=1 oflag=direct conv=notrunc,fsync \
		status=none || fail "writes fail after that"
	expect_state "$dev" live
done
detach "$dev"
check_clean a.qcow2
