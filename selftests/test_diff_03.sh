#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to an image whose metadata is preallocated

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 -o preallocation=metadata a.qcow2 32M
diff_image a.qcow2
