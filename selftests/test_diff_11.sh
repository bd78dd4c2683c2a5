#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to an overlay larger than its base, which ends in a cluster

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 base.qcow2 $((20 * 1024 * 1024 + 65536 + 9 * 512))
qemu-io -f qcow2 -c "write -P 0x21 0 8M" -c "write -P 0x22 20M 70144" \
	-c "write -z 14M 1M" base.qcow2 >/dev/null
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2 32M
diff_backed a.qcow2 base.qcow2
