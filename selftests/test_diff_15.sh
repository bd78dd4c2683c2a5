#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to an image whose last cluster is not whole

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 $((30 * 1024 * 1024 + 3 * 512))
diff_image a.qcow2
