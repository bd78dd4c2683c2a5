#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a container of Debian, started from the device while a window is opened

. "${0%/*}/lib.sh"

command -v systemd-nspawn >/dev/null || skip "no systemd-nspawn"

# What a Debian needs to run a shell, out of this one.
packages=(base-files bash coreutils debianutils dash diffutils dpkg grep libacl1 libattr1
	  libc6 libgmp10 libpcre2-8-0 libselinux1 libssl3 libtinfo6 util-linux)

files()
{
	local name list file

	for name in "${packages[@]}"; do
		for list in /var/lib/dpkg/info/"$name"{,:amd64}.list; do
			[ -e "$list" ] || continue
			while read -r file; do
				[ ! -e "$file" ] || [ -d "$file" ] || echo "$file"
			done <"$list"
		done
	done | grep -v '^/usr/share/'
}

debian()
{
	local dir

	mkdir -p "$1"/{dev,etc,proc,root,run,sys,tmp,usr,var/tmp}
	for dir in bin sbin lib lib64; do
		[ ! -L "/$dir" ] || { mkdir "$1/usr/$dir"; cp -a "/$dir" "$1/"; }
	done
	files | cpio --quiet -pd "$1"
	[ -e "$1/etc/os-release" ] || echo ID=debian >"$1/etc/os-release"
}

qemu-img create -q -f qcow2 a.qcow2 512M
attach a.qcow2
mkfs.ext4 -q "$dev"
mount_at mnt "$dev"
debian mnt
# It writes until it is told to end, and syncs.
cat >mnt/run.sh <<'END'
set -e
i=0
while [ ! -e /stop ]; do
	i=$((i + 1))
	echo "line $i" >>/root/lines
	sync /root/lines
	echo "$i" >/root/count
done
sync
END
systemd-nspawn -q -D mnt --register=no --keep-unit --as-pid2 \
	/bin/bash /run.sh >"$mem/nspawn" 2>&1 &
pid=$!
for _ in {1..300}; do
	[ ! -s mnt/root/count ] || break
	kill -0 "$pid" 2>/dev/null || fail "nspawn: $(<"$mem/nspawn")"
	sleep 0.1
done
[ -s mnt/root/count ] || fail "it does nothing: $(<"$mem/nspawn")"
for name in s1 s2; do
	qcow2ctl window "$dev" -- qemu-img snapshot -c "$name" a.qcow2
	count=$(<mnt/root/count)
	for _ in {1..100}; do
		[ "$(<mnt/root/count)" = "$count" ] || break
		sleep 0.1
	done
	[ "$(<mnt/root/count)" != "$count" ] || fail "it does not go on after $name"
done
: >mnt/stop
wait "$pid" || fail "nspawn: $(<"$mem/nspawn")"
count=$(<mnt/root/count)
unmount mnt
detach "$dev"
check_clean a.qcow2

# lines RAW: how many the file in there has, which must be without a gap.
lines()
{
	e2fsck -fn "$1" >"$mem/fsck" 2>&1 || fail "e2fsck: $(<"$mem/fsck")"
	debugfs -R "cat /root/lines" "$1" >"$mem/lines" 2>/dev/null
	seq -f 'line %.0f' "$(wc -l <"$mem/lines")" | cmp - "$mem/lines" ||
		fail "lines are missing"
	number=$(wc -l <"$mem/lines")
}

to_raw a.qcow2 "$mem/raw"
lines "$mem/raw"
[ "$number" = "$count" ] || fail "$count lines were written, $number are there"
for name in s1 s2; do
	to_raw a.qcow2 "$mem/raw" -l "snapshot.name=$name"
	lines "$mem/raw"
	say "$name: $number of $count lines"
	((number > 0 && number < count)) ||
		fail "$name has $number of $count lines"
done
