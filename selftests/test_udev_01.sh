#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# udev: links by number, file and name; a disk is probed once, and never in a window

. "${0%/*}/lib.sh"

links=/dev/disk/by-qcow2

# Its own rules would make links for disks of ours, or probe them, too.
start_udevd()
{
	mkdir -p /run/udev/rules.d
	sed "s|@sbindir@|$(realpath "$test_dir/../ctl")|" \
		"$test_dir/../ctl/udev/60-blkqcow2.rules.in" >/run/udev/rules.d/60-blkqcow2.rules
	/lib/systemd/systemd-udevd --debug >"$mem/udevd" 2>&1 &
	while [ ! -S /run/udev/control ]; do
		sleep 0.1
	done
	udevadm control --ping
}

settle()
{
	udevadm settle --timeout=60 || fail "udev does not come to an end: $1"
}

# Since the last call: how often has udev looked at what is on this device?
probes()
{
	local all

	all=$(grep -c "^$1: .*results of builtin command ['\"]blkid['\"]" "$mem/udevd") || :
	probed=$((all - ${seen[$1]:-0}))
	seen[$1]=$all
}

expect_probes()
{
	local what=$1 name

	shift
	settle "$what"
	for name in qcow20 qcow20p1 qcow20p2; do
		probes "$name"
		[ "$probed" = "$1" ] || fail "$what: $name was probed $probed times, not $1"
		shift
	done
}

# expect_link LINK DEVICE: or none.
expect_link()
{
	local to

	to=$(realpath -q "$1") || :
	[ "$to" = "$2" ] || fail "$1 is '$to', not '$2'"
}

expect_links()
{
	local name

	for name in 0 'a\x20b.qcow2' data; do
		expect_link "$links/$name" /dev/qcow20
		expect_link "$links/$name-part1" /dev/qcow20p1
		expect_link "$links/$name-part2" /dev/qcow20p2
	done
	expect_link /dev/disk/by-label/one /dev/qcow20p1
	expect_link "/dev/disk/by-partlabel/other" /dev/qcow20p2
}

declare -A seen
qemu-img create -q -f qcow2 'a b.qcow2' 256M
printf 'data %s\n' "$PWD/a\\040b.qcow2" >/etc/qcow2tab
start_udevd
attach 'a b.qcow2'
expect_probes attach 1 0 0
printf '%s\n' label:gpt 'size=100M, name=first' 'name=other' |
	sfdisk -q --no-tell-kernel --no-reread "$dev"
partx -a "$dev" 2>/dev/null || partx -u "$dev"
settle partitions
mkfs.ext4 -q -L one "${dev}p1"
settle mkfs
expect_links
detach "$dev"
settle detach
[ ! -e "$links" ] || fail "after detach there are still: $(ls "$links")"
for name in qcow20 qcow20p1 qcow20p2; do
	probes "$name"
done

attach 'a b.qcow2'
expect_probes attach 1 1 1
expect_links

# Whoever closes it in a window, or asks udev to look at it, does not make it.
exec {writer}<>"$dev"
exec {part_writer}<>"${dev}p2"
qcow2ctl freeze "$dev"
settle freeze
exec {writer}<&- {part_writer}<&-
timeout 20 udevadm control --ping || fail "udev waits for the end of the window"
udevadm trigger --action=change --subsystem-match=block --sysname-match='qcow20*'
expect_probes "in the window" 0 0 0
expect_links
udevadm info --query=property "$dev" >"$mem/properties"
grep -q '^ID_PART_TABLE_TYPE=gpt$' "$mem/properties" || fail "udev has forgotten the partition table"
udevadm info --query=property "${dev}p1" >"$mem/properties"
grep -q '^ID_FS_TYPE=ext4$' "$mem/properties" || fail "udev has forgotten the file system"

# A thaw is one look at each, also where it brings another size.
qemu-img resize -q -f qcow2 'a b.qcow2' 512M
qcow2ctl thaw "$dev"
expect_probes "thaw with another size" 1 1 1
expect_links

# Another file does not take the names away by which it may be mounted.
qcow2ctl overlay "$dev" top.qcow2
expect_probes overlay 1 1 1
expect_links
detach "$dev"
settle detach
[ ! -e "$links" ] || fail "after detach there are still: $(ls "$links")"
