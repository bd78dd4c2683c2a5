#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O over a middle layer that is smaller than its base

. "${0%/*}/lib.sh"

content 32M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 middle.qcow2 $((15 * 1024 * 1024 + 11 * 512))
# Data, zeroes and nothing in the middle, up to its very end.
qemu-io -f qcow2 -c "write -P 0x11 1M 3M" -c "write -z 7M 2M" \
	-c "write -P 0x12 15M 5632" middle.qcow2 >/dev/null
qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 a.qcow2 32M
diff_backed a.qcow2 middle.qcow2 base.qcow2
