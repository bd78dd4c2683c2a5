#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O across the border of two L2 tables

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 1100M
offset=$((496 << 20))
diff_rounds a.qcow2 "" --offset "$offset" --size 32M
check_clean a.qcow2
to_raw a.qcow2 "$mem/after.raw"
cmp -i "$offset" -n 32M "$mem/after.raw" "$model"
