#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to an image with internal snapshots

. "${0%/*}/lib.sh"

content 32M
qemu-img convert -f raw -O qcow2 "$raw_content" a.qcow2
qemu-img snapshot -c first a.qcow2
qemu-io -f qcow2 -c "write -P 0x31 3M 5M" -c "write -z 15M 3M" a.qcow2 >/dev/null
to_raw a.qcow2 "$mem/second.raw"
qemu-img snapshot -c second a.qcow2
init=$mem/second.raw
diff_image a.qcow2
# Nothing of what they share with the image may have changed.
to_raw a.qcow2 "$mem/first.after" -l snapshot.name=first
cmp "$mem/first.after" "$raw_content"
to_raw a.qcow2 "$mem/second.after" -l snapshot.name=second
cmp "$mem/second.after" "$mem/second.raw"
# When they are gone the image is its own again, every cluster of it.
qemu-img snapshot -d first a.qcow2
qemu-img snapshot -d second a.qcow2
diff_verdict a.qcow2
