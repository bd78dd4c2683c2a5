#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# each byte of QEMU's image locks means to the driver what it means to QEMU

. "${0%/*}/lib.sh"
. "$test_dir/lock.sh"

readonly bytes=(100 101 102 103 200 201 202 203)

qemu-img create -q -f qcow2 a.qcow2 8M
qemu-img create -q -f qcow2 base.qcow2 8M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
truncate -s 8M base.raw
qemu-img create -q -f qcow2 -b base.raw -F raw over.qcow2
qemu-img create -q -f qcow2 -o "data_file=$disk/data.raw" ext.qcow2 8M
qemu_on

# attached [-r] IMAGE: succeeds if qcow2ctl attaches it.
attached()
{
	if dev=$(qcow2ctl attach "$@" 2>"$mem/err"); then
		return 0
	fi
	[[ $(<"$mem/err") =~ (in use|locked) ]] || fail "attach $*: $(<"$mem/err")"
	return 1
}

# same_verdicts FILE [-r] IMAGE: the bytes of FILE, a part of IMAGE, one by one.
# What is held goes into $held, what is refused into $ours. Others may write to
# raw files (data files, backing files) that QEMU's tools have open; to us they
# are what a QCOW2 file in their place is, which has to be tried before.
same_verdicts()
{
	local file=$1 byte index theirs

	shift
	locker_on "$file"
	# What they hold.
	qemu_open "$@" || fail "QEMU does not open $*"
	locker others
	theirs=$said
	qemu_close
	if [[ $file == *.raw ]]; then
		for byte in $theirs; do
			[[ " $held " == *" $byte "* ]] || fail "QEMU holds more: $theirs"
		done
		theirs=$held
	fi
	attach "$@"
	locker others
	held=$said
	[ "$held" = "$theirs" ] ||
		fail "$file of $*: the driver holds '$said', QEMU '$theirs'"
	index=${dev#/dev/qcow2}
	locker freeze "$index"
	locker others
	[ -z "$said" ] || fail "$file of $*: frozen, the driver holds '$said'"

	# What they do not stand. The device that is frozen is in nobody's way.
	if [[ $file == *.raw ]]; then
		theirs=$ours
	else
		theirs=
		for byte in "${bytes[@]}"; do
			locker hold "$byte"
			qemu_open "$@" && qemu_close || theirs+=" $byte"
		done
	fi
	ours=
	for byte in "${bytes[@]}"; do
		locker hold "$byte"
		locker thaw "$index"
		if [ "$said" = "done" ]; then
			expect_state "$dev" live
			locker freeze "$index"
		else
			[[ $said == *"${file/data.raw/data file}"*"in use"* ]] ||
				fail "thaw said: $said"
			expect_state "$dev" frozen
			ours+=" $byte"
		fi
	done
	[ "$ours" = "$theirs" ] ||
		fail "$file of $*: thaw is refused by$ours, QEMU by$theirs"
	locker drop
	locker thaw "$index"
	[ "$said" = "done" ] || fail "thaw without locks: $said"
	detach "$dev"
	ours=
	for byte in "${bytes[@]}"; do
		locker hold "$byte"
		attached "$@" && detach "$dev" || ours+=" $byte"
	done
	[ "$ours" = "$theirs" ] ||
		fail "$file of $*: attach is refused by$ours, QEMU by$theirs"
	[ -n "$theirs" ] || fail "$file of $*: nothing is refused"
	say "$file of $*: refused by$theirs"
	locker_off
}

same_verdicts a.qcow2 a.qcow2
same_verdicts data.raw ext.qcow2
same_verdicts a.qcow2 -r a.qcow2
same_verdicts data.raw -r ext.qcow2
same_verdicts base.qcow2 top.qcow2
same_verdicts base.raw over.qcow2
qemu_off
check_usable
