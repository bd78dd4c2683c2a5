#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O over a larger qcow2 base

. "${0%/*}/lib.sh"

content 32M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2 $((23 * 1024 * 1024 + 512))
diff_backed a.qcow2 base.qcow2
