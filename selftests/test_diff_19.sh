#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O over a base with zero clusters of both kinds

. "${0%/*}/lib.sh"

content 32M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
qemu-io -f qcow2 -c "write -z 8M 4M" -c "write -z -u 20M 4M" base.qcow2 >/dev/null
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
qemu-io -f qcow2 -c "write -z 10M 4M" -c "write -z -u 22M 4M" \
	-c "write -P 1 27M 4M" -c "write -z 27M 2M" -c "write -z -u 29M 2M" \
	a.qcow2 >/dev/null
diff_backed a.qcow2 base.qcow2
