#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# the ioctls refuse what is malformed

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 8M
qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
truncate -s 8M raw
"$bin/ioctl_test" a.qcow2 b.qcow2 raw
check_clean a.qcow2
check_clean b.qcow2
check_usable
