# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A thaw that waits for space itself. For tests that have sourced lib.sh.
# shellcheck disable=SC2154 # of which its variables are

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
