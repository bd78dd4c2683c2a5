#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# I/O that comes in a window waits, and is done after it

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 200 --depth 8 --model "$mem/before"
qcow2ctl freeze "$dev"
expect_state "$dev" frozen

dd if="$dev" of="$mem/read" bs=1M count=4 iflag=direct status=none &
reader=$!
dd if=/dev/urandom of="$mem/data" bs=64k count=4 status=none
dd if="$mem/data" of="$dev" bs=64k count=4 seek=100 oflag=direct status=none &
writer=$!
# Those that know nothing of blocks, too.
dd if="$mem/data" of="$dev" bs=1000 count=100 oseek=10000 conv=fsync,notrunc \
	status=none &
buffered=$!
waits "$reader"
waits "$writer"
waits "$buffered"
# The image is complete and nobody's for now.
check_clean a.qcow2
to_raw a.qcow2 "$mem/frozen.raw"
cmp "$mem/frozen.raw" "$mem/before" || fail "the frozen image is not complete"

qcow2ctl thaw "$dev"
wait "$reader" "$writer" "$buffered"
expect_state "$dev" live
cmp -n 4M "$mem/read" "$mem/before"
detach "$dev"
check_clean a.qcow2
to_raw a.qcow2 "$mem/after.raw"
cmp "$mem/after.raw" "$mem/data" -i $((100 * 65536)):0 -n 262144
cmp "$mem/after.raw" "$mem/data" -i 10000000:0 -n 100000
