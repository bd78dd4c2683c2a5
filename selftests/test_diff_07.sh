#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O over a smaller raw base of an odd number of sectors

. "${0%/*}/lib.sh"

content 32M
cp "$raw_content" base.raw
truncate -s $((21 * 1024 * 1024 + 7 * 512)) base.raw
qemu-img create -q -f qcow2 -b base.raw -F raw a.qcow2 32M
diff_backed a.qcow2 base.raw
