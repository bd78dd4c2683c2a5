#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# what the driver does not know is refused by its name

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

luks_image 8M
refused "a.qcow2.*encrypt.*luks" qcow2ctl attach a.qcow2
refused "a.qcow2.*encrypt.*luks" qcow2ctl attach -r a.qcow2
# The same in a backing file, where it is read.
qemu-img create -q -f qcow2 -u -b a.qcow2 -F qcow2 b.qcow2 8M
refused "a.qcow2.*encrypt.*luks" qcow2ctl attach b.qcow2

# patch OFFSET OCTAL: a byte of the header.
patch()
{
	# shellcheck disable=SC2059
	printf "\\$2" | dd of=a.qcow2 bs=1 seek="$1" conv=notrunc status=none
}

# The last byte of the incompatible features.
qemu-img create -q -f qcow2 a.qcow2 8M
patch 79 001
refused "a.qcow2.*(dirty|not closed cleanly)" qcow2ctl attach --no-repair a.qcow2
patch 79 002
refused "a.qcow2.*corrupt" qcow2ctl attach a.qcow2
patch 79 200
refused "a.qcow2.*(unknown|feature)" qcow2ctl attach a.qcow2
refused "a.qcow2.*(unknown|feature)" qcow2ctl attach -r a.qcow2
patch 79 000
attach a.qcow2
detach "$dev"
patch 35 001
refused "a.qcow2.*encrypt.*aes" qcow2ctl attach a.qcow2
patch 35 000
patch 7 004
refused "a.qcow2.*version 4" qcow2ctl attach a.qcow2
patch 7 001
refused "a.qcow2.*version 1" qcow2ctl attach a.qcow2

check_usable
