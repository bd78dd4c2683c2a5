#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# the examples in the guide, and the minute of the README, word for word

. "${0%/*}/lib.sh"

manual=$test_dir/../Documentation/admin-guide/blockdev/qcow2.rst
images=/var/lib/images
ran=0

# example NAME: run it as it stands in the manual.
example()
{
	local text

	text=$(awk -v name="$1" '
		/^\.\. example: / { mine = $3 == name; next }
		mine && /^    / { print substr($0, 5); found = 1; next }
		mine && found && NF { exit }' "$manual")
	[ -n "$text" ] || fail "there is no example $1"
	say "$1"
	bash -euc "$text" >"$mem/out" 2>&1 || fail "example $1: $(<"$mem/out")"
	ran=$((ran + 1))
}

# As it stands in the README, once the driver is there.
tour()
{
	local text

	text=$(sed -n '/^    qemu-img create/,/^    qemu-img check/s/^    //p' \
		"$test_dir/../README.md")
	[[ $text == *detach*check* ]] || fail "the README has no tour"
	mkdir tour
	(cd tour && bash -euc "$text") >"$mem/out" 2>&1 || fail "README: $(<"$mem/out")"
	[[ $(qemu-img snapshot -l tour/disk.qcow2) == *before* ]] || fail "README: no snapshot"
	[[ $(qemu-img info tour/top.qcow2) == *" 20 GiB "*disk.qcow2* ]] ||
		fail "README: no overlay of 20 GiB"
	check_clean tour/top.qcow2
}

# What runs from the disk: it writes, and must never see an error.
container()
{
	cp "$(command -v busybox)" /mnt/busybox
	# shellcheck disable=SC2016
	unshare --fork --kill-child --pid --mount-proc=/proc chroot /mnt /busybox sh -ec '
		i=0
		until [ -e /stop ]; do
			i=$((i + 1))
			echo $i >/file.$((i % 50))
			[ $((i % 10)) != 0 ] || /busybox sync
			/busybox usleep 20000
		done' &
	container=$!
}

# begin TYPE
begin()
{
	qemu-img create -q -f qcow2 $images/disk.qcow2 1G
	attach $images/disk.qcow2
	[ "$dev" = /dev/qcow20 ] || fail "the examples are for /dev/qcow20"
	"mkfs.$1" -q "$dev"
	mount_at /mnt "$dev"
	echo kept >/mnt/kept
	container
}

finish()
{
	: >/mnt/stop
	wait "$container" || fail "the container has failed"
	[ "$(</mnt/kept)" = kept ] || fail "a file is gone"
	unmount /mnt
	detach "$dev"
	check_clean $images/disk.qcow2
}

# A backup must mount clean and have what was there.
verify_backup()
{
	to_raw $images/backup.qcow2 "$mem/backup.raw"
	[[ $(dumpe2fs -h "$mem/backup.raw" 2>/dev/null) != *needs_recovery* ]] ||
		fail "the backup needs recovery"
	mount_at backup -o loop,ro,noload "$mem/backup.raw"
	[ "$(<backup/kept)" = kept ] || fail "a file is missing in the backup"
	unmount backup
	rm "$mem/backup.raw" $images/backup.qcow2
}

tour
mkdir -p $images
mount --bind . $images
mounts+=("$images")
begin ext4
example backup
verify_backup
[ -z "$(qemu-img snapshot -U -l $images/disk.qcow2)" ] || fail "the snapshot is still there"
example overlay
verify_backup
example commit
[[ $(qcow2ctl info "$dev") == *"layers: 1"* ]] || fail "not a single file"
example ext4
[ "$(stat -f -c %b /mnt)" -gt $((1900 << 20 >> 12)) ] || fail "ext4 has not grown"
finish
begin xfs
example xfs
[ "$(stat -f -c %b /mnt)" -gt $((1900 << 20 >> 12)) ] || fail "XFS has not grown"
finish
[ "$ran" = "$(grep -c '^\.\. example: ' "$manual")" ] || fail "not all examples were run"
