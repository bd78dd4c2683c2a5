# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# LVM and dm-crypt on partitions. For tests that have sourced lib.sh.
# shellcheck disable=SC2154 # of which its variables are

# Without udev they make their nodes themselves.
export DM_DISABLE_UDEV=1

for stack_program in lvm cryptsetup sfdisk; do
	command -v "$stack_program" >/dev/null || skip "no $stack_program"
done
modprobe -qa dm_mod dm_crypt || skip "the kernel has no dm-crypt"
printf 'a key' >"$mem/key"

# volumes COMMAND [ARGUMENT]...: of LVM, which is to look at one disk only, as
# copies of its volumes have their names.
volumes()
{
	local command=$1

	shift
	# It tells of what it has inherited, and of archives that are not wanted.
	lvm "$command" -qq --config "devices { use_devicesfile=0 dir=\"/dev\"
		filter=[ \"a|^${stack_disk:?}|\", \"r|.*|\" ] }
		backup { backup=0 archive=0 } activation { monitoring=0 }" "$@" 2>"$mem/lvm" ||
		fail "$command: $(<"$mem/lvm")"
}

# stack_make DISK TYPE...: GPT, a volume group, a volume for each type of file
# system, dm-crypt on it and the file system on that.
stack_make()
{
	local type

	stack_disk=$1
	shift
	printf 'label: gpt\nstart=2048,size=16M\nstart=65536,type=lvm\n' |
		sfdisk -q "$stack_disk"
	volumes vgcreate stack "${stack_disk}p2"
	undo=("stack_close" "${undo[@]}")
	for type; do
		volumes lvcreate -n "$type" -L 320M -W n -Z n stack
		cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
			--sector-size 4096 /dev/stack/"$type" "$mem/key"
		stack_unlock "$type"
		"mkfs.$type" -q "/dev/mapper/crypt-$type" 2>/dev/null
	done
}

# stack_open DISK TYPE...: what was made there, or a copy of it.
stack_open()
{
	local type

	stack_disk=$1
	shift
	volumes vgchange -ay stack
	undo=("stack_close" "${undo[@]}")
	for type; do
		stack_unlock "$type"
	done
}

stack_unlock()
{
	cryptsetup open --allow-discards --key-file "$mem/key" /dev/stack/"$1" "crypt-$1"
}

stack_close()
{
	local node

	for node in /dev/mapper/crypt-*; do
		[ ! -b "$node" ] || cryptsetup close "${node##*/}"
	done
	volumes vgchange -an stack
	undo=("${undo[@]/#stack_close/:}")
}
