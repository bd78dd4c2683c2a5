#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a thaw that waits for space itself: resume lets it go on, a forced detach ends it

. "${0%/*}/lib.sh"

# To thaw ext4 is to write its superblock, which the snapshot has: it needs space.
stuck()
{
	qemu-img create -q -f qcow2 a.qcow2 128M
	attach --on-enospc=park a.qcow2
	mkfs.ext4 -q "$dev"
	mount_at mnt "$dev"
	echo text >mnt/file
	qcow2ctl freeze "$dev"
	qemu-img snapshot -c s1 a.qcow2
	leave_space 1
	dd if=/dev/zero of=rest bs=4k status=none 2>/dev/null || :
	qcow2ctl thaw "$dev" 2>"$mem/err" &
	thaw=$!
	sleep 2
	waits "$thaw"
	# Who asks what is wrong with the devices must be told.
	[ "$(timeout 60 qcow2ctl list --noheadings --raw --output STATE,NOSPACE)" = "live 1" ] ||
		fail "it is not said that it waits for space"
}

# ended: by force
ended()
{
	wait "$thaw" || :
	umount -l mnt
	mounts=("${mounts[@]:0:${#mounts[@]}-1}")
	rm filler rest
	check_clean a.qcow2
}

small_disk 160
cd host
stuck
rm filler rest
qcow2ctl resume "$dev"
wait "$thaw" || fail "thaw: $(<"$mem/err")"
echo more >mnt/file
sync mnt/file
unmount mnt
detach "$dev"
check_clean a.qcow2

rm a.qcow2
stuck
qcow2ctl detach -f "$dev"
ended

# So it ends at shutdown. In a kernel's tree there is only the driver.
script=$test_dir/../ctl/systemd/qcow2-detach.in
[ -e "$script" ] || exit 0
rm a.qcow2
stuck
sed 's|@sbindir@/||' "$script" >"$mem/detach"
QCOW2_PATIENCE=3 timeout 60 sh "$mem/detach" --all 2>"$mem/err" || fail "$(<"$mem/err")"
[[ $(<"$mem/err") == *"$dev is ended by force"* ]] || fail "said: $(<"$mem/err")"
! device_exists || fail "$dev is still there"
ended
