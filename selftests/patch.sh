# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Change bytes of a.qcow2, as nobody should.

# luks_image SIZE: an encrypted a.qcow2. QEMU measures how much time a hash takes,
# and gives up if that is none by a clock that ticks slowly.
luks_image()
{
	local _

	for _ in {1..20}; do
		! qemu-img create -q -f qcow2 --object secret,id=s,data=word \
			-o encrypt.format=luks,encrypt.key-secret=s \
			-o encrypt.iter-time=10 a.qcow2 "$1" || return 0
	done
	return 1
}

# be64 OFFSET: the number there, into $value.
be64()
{
	local hex

	hex=$(od -An -v -tx1 -j "$1" -N 8 a.qcow2)
	# shellcheck disable=SC2034
	value=$((16#${hex//[!0-9a-f]/}))
}

# put_bytes OFFSET HEX...
put_bytes()
{
	local at=$1 IFS=

	shift
	# shellcheck disable=SC2059
	printf "$(printf '\\x%s' "$@")" |
		dd of=a.qcow2 bs=1 seek="$at" conv=notrunc status=none
}

# put64 OFFSET NUMBER
put64()
{
	local hex

	printf -v hex '%016x' "$2"
	put_bytes "$1" "${hex:0:2}" "${hex:2:2}" "${hex:4:2}" "${hex:6:2}" \
		"${hex:8:2}" "${hex:10:2}" "${hex:12:2}" "${hex:14:2}"
}

# l2_entry GUEST_CLUSTER: where its entry is, into $value. For clusters of
# 64 KiB, and the first of the L2 tables.
l2_entry()
{
	be64 40
	be64 "$value"
	value=$(((value & 0x00fffffffffffe00) + 8 * $1))
}

# unharmed: the device has failed, and a.qcow2 is as before.qcow2, but for the
# mark that it is corrupt.
unharmed()
{
	expect_state "$dev" failed
	qcow2ctl detach "$dev" || qcow2ctl detach -f "$dev"
	be64 72
	[ "$value" = 2 ] || fail "incompatible features are $value"
	put64 72 0
	cmp -n "$(stat -c %s before.qcow2)" a.qcow2 before.qcow2 ||
		fail "the image has changed"
}
