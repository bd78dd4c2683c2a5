# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests share. A test sources this, does its work, and fails at the
# first thing that is not as it must be: by a command that fails (set -e), or
# by saying so (fail). It runs inside the guest, on a scratch file system that
# run_tests has made; what it leaves attached, mounted or running, is cleaned
# up at its end.
#
# Exit status: 0 passed, 4 skipped, anything else failed.
#
# Starting a program takes the guest longer than all that most of the
# programs do, so what bash can do itself is left to it.

set -eEu -o pipefail

self=${0##*/}
self=${self%.sh}
test_dir=$(cd -- "${BASH_SOURCE[0]%/*}" && pwd -P)
bin=$test_dir/bin
# In a kernel tree they are built beside the tests.
[ -d "$bin" ] || bin=$test_dir
readonly exit_skip=4
# Programs must not translate what tests look for.
export LC_ALL=C
PATH=$test_dir/../ctl:$PATH

mounts=()
# Commands that take back what a test has set up under its mounts.
undo=()

say()
{
	printf '# %s\n' "$*"
}

fail()
{
	trap - ERR
	printf '# FAIL: %s\n' "$*"
	exit 1
}

skip()
{
	printf '# SKIP %s\n' "$*"
	exit "$exit_skip"
}

# What failed, and from where it was called.
on_error()
{
	local status=$? where='' i

	for ((i = 0; i < ${#BASH_LINENO[@]} - 1; i++)); do
		where+=" ${BASH_SOURCE[i + 1]##*/}:${BASH_LINENO[i]}"
	done
	printf '# FAIL: status %s of: %.80s (%s)\n' "$status" "$BASH_COMMAND" \
		"${where# }"
	exit 1
}

# What is busy stays in $mounts.
unmount_all()
{
	local i

	for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
		umount "${mounts[i]}" 2>/dev/null && unset 'mounts[i]'
	done
	mounts=("${mounts[@]}")
}

cleanup()
{
	local status=$? pid command

	trap - ERR EXIT
	set +e
	# Whoever waits for a window must get out of it before he can be ended.
	thaw_all
	for pid in $(jobs -p); do
		kill "$pid"
		ends "$pid" 20 || kill -KILL "$pid"
		wait "$pid"
	done 2>/dev/null
	cd /
	unmount_all
	if device_exists; then
		[ "$status" = 0 ] && say "left devices attached" && status=1
		qcow2ctl detach -f -a
	fi
	# Those that held the images of the devices.
	unmount_all
	for command in "${undo[@]}"; do
		$command
	done
	rm -rf "$disk" "$mem" ${alone:+"$alone"}
	exit "$status"
}

# Alone, on a machine that may be somebody's: without the driver, or with
# devices in use, nothing is done.
run_alone()
{
	[ -c /dev/qcow2-control ] || modprobe -q blkqcow2 || skip "no driver"
	command -v qcow2ctl >/dev/null || skip "no qcow2ctl"
	! compgen -G '/sys/block/qcow2*' >/dev/null ||
		skip "there are devices in use"
	modprobe -q loop || :
	alone=$(mktemp -d /var/tmp/qcow2.XXXXXX)
	SCRATCH=$alone/disk SHARED=$alone/mem
}

alone=
if [ -z "${SCRATCH-}" ] || [ -z "${SHARED-}" ]; then
	run_alone
fi
# A directory on a disk for the images, one in memory for the referees' files.
disk=$SCRATCH/$self
mem=$SHARED/$self
trap on_error ERR
trap cleanup EXIT
mkdir -p "$disk" "$mem"
cd "$disk"

### Devices

device_exists()
{
	local sys

	for sys in /sys/block/qcow2*; do
		# The plain return of a trap's function gives the status before it.
		[ -e "$sys" ] && return 0
	done
	return 1
}

# The devices that there are, into $devices: without starting a program.
list_devices()
{
	local sys state

	devices=
	for sys in /sys/block/qcow2*; do
		[ -e "$sys" ] || continue
		read -r state <"$sys/qcow2/state"
		devices+="${sys##*/} $state;"
	done
}

thaw_all()
{
	local sys state

	for sys in /sys/block/qcow2*; do
		[ -e "$sys" ] || continue
		read -r state <"$sys/qcow2/state"
		[ "$state" = frozen ] || continue
		# It may wait itself, for space or for a disk that is not there.
		{ sleep 20; qcow2ctl detach -f "${sys##*/}"; } >/dev/null 2>&1 &
		qcow2ctl thaw "${sys##*/}" || qcow2ctl detach -f "${sys##*/}"
		kill $!
	done
}

# attach [OPTION]... IMAGE: sets $dev.
attach()
{
	dev=$(qcow2ctl attach "$@")
	[[ $dev =~ ^/dev/qcow2[0-9]+$ ]] || fail "attach printed '$dev'"
	[ -b "$dev" ] || fail "attach printed $dev, which is not there"
}

detach()
{
	qcow2ctl detach "$@"
}

# state DEVICE: into $state.
get_state()
{
	read -r state <"/sys/block/${1##*/}/qcow2/state"
}

expect_state()
{
	local state

	get_state "$1"
	[ "$state" = "$2" ] || fail "$1 is $state, not $2"
}

# waits PID: the process must be doing nothing but wait, for half a second.
waits()
{
	sleep 0.5
	kill -0 "$1" 2>/dev/null || fail "what had to wait has ended"
}

# ends PID SECONDS: does the process end by then?
ends()
{
	local i

	for ((i = 0; i < $2 * 10; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

### Commands that must fail

# refused WORDS COMMAND...: COMMAND must fail with exactly one line on stderr,
# in which WORDS (an extended regular expression) are found in any case,
# nothing on stdout, and must leave the devices as they are. Its exit status
# goes into $status.
refused()
{
	local words=$1 before lines out

	shift
	list_devices
	before=$devices
	status=0
	"$@" >"$mem/out" 2>"$mem/err" || status=$?
	mapfile -t lines <"$mem/err"
	out=$(<"$mem/out")
	list_devices
	[ "$status" != 0 ] || fail "did not fail: $*"
	[ "$status" -lt 128 ] || fail "died (status $status): $*"
	[ -z "$out" ] || fail "wrote '$out' to stdout: $*"
	[ ${#lines[@]} = 1 ] ||
		fail "wrote ${#lines[@]} lines to stderr: $*: ${lines[*]}"
	[[ ${lines[0],,} =~ ${words,,} ]] ||
		fail "said '${lines[0]}', nothing of '$words': $*"
	[ "$devices" = "$before" ] || fail "devices were '$before', are '$devices': $*"
}

# locked_out COMMAND...: QEMU's tools do not get the image's lock.
locked_out()
{
	local out

	out=$("$@" 2>&1) && fail "gets the lock: $*"
	[[ ${out,,} == *lock* ]] || fail "said '$out', nothing of a lock: $*"
}

# After something was refused, everything must still work.
check_usable()
{
	qemu-img create -q -f qcow2 usable.qcow2 8M
	attach usable.qcow2
	"$bin/diff_io" --dev "$dev" --seed 1 --ops 50 --depth 4 >/dev/null
	detach "$dev"
	check_clean usable.qcow2
	rm usable.qcow2
}

### Images

# content SIZE: a raw file with something in it, $raw_content, made once for
# all tests. It must not be written.
content()
{
	raw_content=$SHARED/content.$1
	[ -e "$raw_content" ] ||
		"$bin/diff_io" --make "$raw_content" --size "$1" --seed 7
}

# compressed IMAGE: a part of that content in compressed clusters. Compressing
# all of it would take longer than the test.
compressed()
{
	content 32M
	cp "$raw_content" "$mem/part.raw"
	truncate -s 6M "$mem/part.raw"
	qemu-img convert -c -f raw -O qcow2 "$mem/part.raw" "$1"
	qemu-img resize -q "$1" 32M
	rm "$mem/part.raw"
}

# to_raw IMAGE RAW [OPTION]...: what QEMU finds in the image.
to_raw()
{
	local image=$1 raw=$2

	shift 2
	qemu-img convert "$@" -f qcow2 -O raw "$image" "$raw"
}

# No error, and no leak either (of which a copy would be allowed some).
check_clean()
{
	check_status "$1" 0
}

# Errors are not allowed, leaks are.
check_copy()
{
	check_status "$1" 0 3
}

# check_status IMAGE STATUS...: qemu-img check must end with one of these.
check_status()
{
	local image=$1 out status=0 lines

	shift
	out=$(qemu-img check -f qcow2 "$image" 2>&1) || status=$?
	[[ " $* " != *" $status "* ]] || return 0
	mapfile -t lines <<<"$out"
	printf '# %s\n' "${lines[@]:0:6}"
	[ ${#lines[@]} -le 10 ] || printf '# ...\n'
	[ ${#lines[@]} -le 6 ] || printf '# %s\n' "${lines[@]: -4}"
	fail "qemu-img check $image: status $status"
}

# get_blocks FILE: the bytes of its file system that an image of $dev takes, into
# $blocks. Clusters rest for two commits before they are punched, and their last users
# must have ended: it is what has stayed the same for three commits.
get_blocks()
{
	local before='' same=0 i

	for ((i = 0; same < 3 && i < 50; i++)); do
		sync "$dev"
		sleep 0.2
		blocks=$(($(stat -c '%b * %B' "$1")))
		[ "$blocks" = "$before" ] || same=0
		same=$((same + 1)) before=$blocks
	done
}

# mount_at DIRECTORY ARGUMENT...
mount_at()
{
	local at=$1

	shift
	mkdir -p "$at"
	mount "$@" "$at"
	mounts+=("$(realpath "$at")")
}

unmount()
{
	umount "$1"
	unset 'mounts[-1]'
}

# What the superblock says while ext4 writes it is not what its checksum says, and
# resize2fs before 1.47.1 reads it so. The guide says to run it again. Exported for
# the guide's examples.
resize2fs()
{
	local out _

	for _ in 1 2 3 4 5; do
		out=$(command resize2fs "$@" 2>&1) && return
		[[ $out == *"Superblock checksum does not match"* ]] || break
	done
	echo "$out"
	return 1
}
export -f resize2fs

# other_disk FSTYPE NAME: a file system for images in a file, mounted there.
other_disk()
{
	local type=$1 at=$2

	truncate -s 2G "$at.$type"
	"mkfs.$type" -q "$at.$type"
	mount_at "$at" -o loop "$at.$type"
}

# small_disk MIB: a file system of that size at host/.
small_disk()
{
	truncate -s "$1M" small
	mkfs.ext4 -q -m 0 -J size=4 small
	mount_at host -o loop small
}

# leave_space MIB: fill the file system here up to that.
leave_space()
{
	local free

	free=$(df --output=avail -B 1M . | tail -n 1)
	fallocate -l "$((free - $1))M" filler
}

# leave_nothing: not even that. Once written, a file needs less than was set aside
# for it.
leave_nothing()
{
	local _

	: >rest
	leave_space 1
	for _ in 1 2 3; do
		dd if=/dev/zero of=rest bs=4k oflag=append conv=notrunc \
			status=none 2>/dev/null || :
		sync
	done
}

# new_disk SIZE [FILE]: a block device, its name into $new.
new_disk()
{
	local file=${2:-disk.${#undo[@]}}

	truncate -s "$1" "$file"
	new=$(losetup -f --show "$file")
	undo+=("losetup -d $new")
}

# disk_4k: a file system on a disk with blocks of 4 KiB, and into it.
disk_4k()
{
	local loop

	truncate -s 1G blocks
	loop=$(losetup -f --show -b 4096 blocks)
	undo+=("losetup -d $loop")
	mkfs.ext4 -q "$loop"
	mount_at host "$loop"
	cd host
}

# slow_device: /dev/mapper/slow, which can be made so.
slow_device()
{
	truncate -s 2G slow
	slow_loop=$(losetup -f --show slow)
	modprobe dm-delay
	dmsetup --noudevsync create slow --table "0 $((1 << 22)) delay $slow_loop 0 0"
	dmsetup --noudevsync mknodes
	undo+=("dmsetup --noudevsync remove slow" "losetup -d $slow_loop")
}

# slow_disk: a file system on it, and into it.
slow_disk()
{
	slow_device
	mkfs.ext4 -q /dev/mapper/slow
	mount_at host /dev/mapper/slow
	cd host
}

# delay READS WRITES: of each of them, in milliseconds.
delay()
{
	dmsetup --noudevsync reload slow \
		--table "0 $((1 << 22)) delay $slow_loop 0 $1 $slow_loop 0 $2"
	dmsetup --noudevsync suspend slow
	dmsetup --noudevsync resume slow
}

### Differential tests

# Operations of a round, and rounds. For a longer test set these.
diff_ops=${DIFF_OPS:-600}
diff_seeds=${DIFF_SEEDS:-3}
readonly diff_depths=(32 1 8 16 4 32 2 24)
# Of each four rounds one goes partly through the page cache.
readonly diff_buffered=(0 0 25 0)

# Seeds of two tests are never the same.
diff_seed()
{
	local digits=${self//[!0-9]/}

	echo $((${DIFF_SEED:-0} + 1000 * 10#$digits + ${#self} * 100000 + $1))
}

# diff_rounds IMAGE INIT [OPTION]...: do random I/O to an image that contains
# what is in the raw file INIT, or nothing, in several rounds, with other
# tables in memory each time. $model is then the file with what the device must
# contain.
diff_rounds()
{
	local image=$1 init=$2 i

	shift 2
	for ((i = 0; i < diff_seeds; i++)); do
		model=$mem/model.$((i % 2))
		attach "$image"
		"$bin/diff_io" --dev "$dev" --ops "$diff_ops" \
			--seed "$(diff_seed $i)" \
			--depth "${diff_depths[i % ${#diff_depths[@]}]}" \
			--buffered "${diff_buffered[i % ${#diff_buffered[@]}]}" \
			${init:+--init "$init"} --model "$model" "$@"
		detach "$dev"
		init=$model
	done
}

# diff_verdict IMAGE: what QEMU thinks of it.
diff_verdict()
{
	check_clean "$1"
	to_raw "$1" "$mem/after.raw"
	cmp "$mem/after.raw" "$model" || fail "$1: QEMU reads other content"
	rm "$mem/after.raw"
}

# diff_image IMAGE: the whole test for an image without backing file.
diff_image()
{
	diff_backed "$@"
}

# diff_backed IMAGE [BASE]...: the same, and the bases must not change. $init is
# the raw file with the content, if there is one already.
diff_backed()
{
	local image=$1 base

	shift
	if [ -z "${init-}" ]; then
		init=$mem/init.raw
		to_raw "$image" "$init"
	fi
	for base; do
		cp --sparse=always "$base" "$mem/${base##*/}.before"
	done
	diff_rounds "$image" "$init"
	diff_verdict "$image"
	for base; do
		cmp "$base" "$mem/${base##*/}.before" || fail "$base has changed"
	done
}

### File systems

# A tree of real files: more than a thousand, more than 20 MB. What there is
# depends on the machine.
tree_choose()
{
	local path entries bytes

	tree_sources=()
	for path in /usr/include/linux /usr/include/c++ /usr/include/asm-generic \
		    /usr/lib/x86_64-linux-gnu/lib{crypto.so.3,c.so.6,c.a} \
		    /usr/lib/python3.* /usr/share/perl/5.* /usr/share/doc; do
		[ -e "$path" ] || continue
		tree_sources+=("$path")
		[ ${#tree_sources[@]} -gt 4 ] || continue
		entries=$(find "${tree_sources[@]}" | wc -l)
		bytes=$(du -scLB1 "${tree_sources[@]}" | tail -n 1)
		bytes=${bytes%%[!0-9]*}
		[ "$entries" -lt 1100 ] || [ "$bytes" -lt 20971520 ] || return 0
	done
	fail "this machine has no tree of 1000 files and 20 MiB"
}

# tree_test FSTYPE: put a file system with the tree on a.qcow2, detach, attach.
tree_test()
{
	tree_choose
	attach a.qcow2
	"mkfs.$1" -q "$dev"
	mount_at mnt "$dev"
	cp -rL "${tree_sources[@]}" mnt/
	unmount mnt
	detach "$dev"
	check_clean a.qcow2
	attach a.qcow2
}

# tree_compare: the tree must be on $dev, and all must be well after it.
tree_compare()
{
	local path

	mount_at mnt "$dev"
	for path in "${tree_sources[@]}"; do
		diff -r "$path" "mnt/${path##*/}" || fail "$path differs"
	done
	unmount mnt
	detach "$dev"
	check_clean a.qcow2
}
