#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# small reads in sequence have each compressed cluster decompressed once

. "${0%/*}/lib.sh"

# decompressed N: so many clusters have been, since attach.
decompressed()
{
	local n

	n=$(qcow2ctl info "$dev" | sed -n 's/^clusters-decompressed: //p')
	[ "$n" = "$1" ] || fail "$n clusters have been decompressed, not $1"
}

"$bin/diff_io" --make "$mem/content" --size 2M --seed 11
for options in cluster_size=64k compression_type=zstd cluster_size=4k \
	       cluster_size=2M; do
	# Zeroes are no compressed clusters, so there are to be none.
	tr '\0' x <"$mem/content" >"$mem/full"
	qemu-img convert -c -f raw -O qcow2 -o "$options" "$mem/full" a.qcow2
	compressed=$(qemu-img check -f qcow2 --output=json a.qcow2 |
		     sed -n 's/.*"compressed-clusters": \([0-9]*\).*/\1/p')
	[ "$compressed" -gt 0 ] || fail "$options: no cluster is compressed"
	attach a.qcow2
	dd if="$dev" of="$mem/read" bs=4k iflag=direct status=none
	cmp "$mem/read" "$mem/full"
	# Partitions were looked for in the first cluster: it is still there.
	decompressed "$compressed"
	detach "$dev"
done
