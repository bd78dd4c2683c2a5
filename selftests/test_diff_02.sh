#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to an empty image, version 2

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 -o compat=0.10 a.qcow2 32M
diff_image a.qcow2
