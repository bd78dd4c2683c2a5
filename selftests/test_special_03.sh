#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# the refcount table moves to larger places, again and again

. "${0%/*}/lib.sh"

content 16M

# look: where the table is and how long it is, bytes 48 to 59 of the header,
# into $places if it was not there the last time.
look()
{
	local at

	at=$(od -An -v -tx1 -j 48 -N 12 a.qcow2)
	[ "$at" = "${last-}" ] || places+=("$at")
	last=$at
}

# moved TIMES
moved()
{
	say "moved $((${#places[@]} - 1)) times"
	[ ${#places[@]} -gt "$1" ] ||
		fail "the table has moved $((${#places[@]} - 1)) times only"
}

# A block counts 64 clusters, a table of one cluster 2 MiB.
qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 a.qcow2 16M
places=() last=
look
for ((i = 0; i < 4; i++)); do
	attach a.qcow2
	dd if="$raw_content" of="$dev" bs=4M skip="$i" seek="$i" count=1 \
		oflag=direct status=none
	detach "$dev"
	look
done
moved 3
check_clean a.qcow2
diff_seeds=1
init=$raw_content
diff_image a.qcow2

# A block counts 4096 clusters, a table of one cluster 128 MiB.
for ((i = 0; i < 17; i++)); do
	cat "$raw_content"
done >"$mem/long"
qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=1 a.qcow2 272M
places=() last=
look
for ((i = 0; i < 2; i++)); do
	attach a.qcow2
	dd if="$mem/long" of="$dev" bs=4M skip=$((34 * i)) seek=$((34 * i)) \
		count=34 oflag=direct status=none
	detach "$dev"
	look
done
moved 2
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 9)" --ops 300 --offset 120M \
	--size 16M --cluster 512 --init "$mem/long" --model "$mem/model" >/dev/null
dd if="$mem/model" of="$mem/long" bs=1M skip=120 seek=120 conv=notrunc \
	status=none
detach "$dev"
model=$mem/long
diff_verdict a.qcow2
