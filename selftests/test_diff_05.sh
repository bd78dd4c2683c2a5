#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to an image that is full

. "${0%/*}/lib.sh"

content 32M
init=$raw_content
qemu-img create -q -f qcow2 -o preallocation=full a.qcow2 32M
qemu-img convert -n -f raw -O qcow2 "$raw_content" a.qcow2
diff_image a.qcow2
