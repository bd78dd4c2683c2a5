#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O over a compressed base

. "${0%/*}/lib.sh"

content 32M
compressed base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
diff_backed a.qcow2 base.qcow2
