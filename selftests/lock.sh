# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Image locks: QEMU, lock_bytes and the driver, side by side on one file. For
# tests that have sourced lib.sh. Both programs are started once and told what
# to do, as starting one takes the guest longer than all that they do.

# shellcheck disable=SC2154 # from lib.sh
lock_dir=$mem

# locker_on FILE: lock_bytes has it open, until locker_off.
locker_on()
{
	mkfifo "$lock_dir/locker."{in,out}
	"$bin/lock_bytes" "$1" <"$lock_dir/locker.in" >"$lock_dir/locker.out" &
	locker_pid=$!
	exec {locker_in}>"$lock_dir/locker.in" {locker_out}<"$lock_dir/locker.out"
	rm "$lock_dir/locker."{in,out}
}

locker_off()
{
	exec {locker_in}>&- {locker_out}<&-
	wait "$locker_pid"
}

# locker COMMAND: its answer into $said.
locker()
{
	printf '%s\n' "$*" >&"$locker_in"
	read -r said <&"$locker_out" || fail "lock_bytes is gone"
}

qemu_on()
{
	mkfifo "$lock_dir/qemu."{in,out}
	qemu-io <"$lock_dir/qemu.in" >"$lock_dir/qemu.out" 2>&1 &
	qemu_pid=$!
	exec {qemu_in}>"$lock_dir/qemu.in" {qemu_out}<"$lock_dir/qemu.out"
	rm "$lock_dir/qemu."{in,out}
	qemu_prompt
}

qemu_off()
{
	printf 'quit\n' >&"$qemu_in"
	# Its status tells of the commands that failed.
	wait "$qemu_pid" || :
	exec {qemu_in}>&- {qemu_out}<&-
}

# qemu COMMAND: what qemu-io says to it into $said. It takes a command only when
# it has asked for one, by a prompt.
qemu()
{
	printf '%s\n' "$*" >&"$qemu_in"
	qemu_prompt
}

qemu_prompt()
{
	IFS= read -r -d '>' said <&"$qemu_out" || fail "qemu-io is gone"
	read -r -N 1 <&"$qemu_out"
}

# qemu_open [-r] IMAGE: succeeds if QEMU opens it, fails if it does not get the
# lock.
qemu_open()
{
	qemu "open -o driver=qcow2 $*"
	[[ $said == *lock* ]] || return 0
	qemu "length"
	[[ $said == *"no file open"* ]] || fail "qemu-io said '$said'"
	return 1
}

qemu_close()
{
	qemu close
}
