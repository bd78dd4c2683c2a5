#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# an image that is in use is refused

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 base.qcow2 8M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 b.qcow2

# held OPTION... IMAGE: qemu-io has the image open until it is told to go.
held()
{
	local line

	coproc QIO { exec qemu-io -f qcow2 "$@" 2>&1; }
	# shellcheck disable=SC2153
	qio_pid=$QIO_PID
	# It has it open when it answers.
	echo "length" >&"${QIO[1]}"
	while read -r line <&"${QIO[0]}"; do
		[[ $line != *MiB* ]] || return 0
	done
	fail "qemu-io did not open it"
}

released()
{
	echo quit >&"${QIO[1]}"
	wait "$qio_pid"
}

held a.qcow2
refused "a.qcow2.*(in use|locked)" qcow2ctl attach a.qcow2
refused "a.qcow2.*(in use|locked)" qcow2ctl attach -r a.qcow2
# Its base is only read.
refused "base.qcow2.*(in use|locked)" qcow2ctl attach base.qcow2
attach b.qcow2
detach "$dev"
released
held -r a.qcow2
refused "a.qcow2.*(in use|locked)" qcow2ctl attach a.qcow2
attach -r a.qcow2
detach "$dev"
released
held base.qcow2
refused "base.qcow2.*(in use|locked)" qcow2ctl attach a.qcow2
released

attach a.qcow2
first=$dev
refused "a.qcow2.*(in use|locked)" qcow2ctl attach a.qcow2
refused "a.qcow2.*(in use|locked)" qcow2ctl attach -r a.qcow2
refused "base.qcow2.*(in use|locked)" qcow2ctl attach base.qcow2
ln a.qcow2 link.qcow2
refused "link.qcow2.*(in use|locked)" qcow2ctl attach link.qcow2
number=${first#/dev/qcow2}
refused "exists" qcow2ctl attach -i "$number" b.qcow2
attach b.qcow2
"$bin/diff_io" --dev "$first" --seed 1 --ops 50 --depth 8 >/dev/null
"$bin/diff_io" --dev "$dev" --seed 2 --ops 50 --depth 8 >/dev/null
locked_out qemu-io -f qcow2 -c "write 0 512" base.qcow2
detach "$first" "$dev"
check_clean a.qcow2
check_clean b.qcow2
# Free again for both.
qemu-io -f qcow2 -c "write 0 512" a.qcow2 >/dev/null
check_usable
