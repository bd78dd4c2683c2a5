#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O over a qcow2 base that is full of content

. "${0%/*}/lib.sh"

content 32M
init=$raw_content
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
diff_backed a.qcow2 base.qcow2
