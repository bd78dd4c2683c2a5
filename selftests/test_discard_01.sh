#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# discard: space comes back, zeroes are read, never old data

. "${0%/*}/lib.sh"

# limit NAME BYTES: a limit of the queue.
limit()
{
	local n

	read -r n <"/sys/block/${dev##*/}/queue/$1"
	[ "$n" = "$2" ] || fail "$1 is $n, not $2"
}

# reads FROM TO WHAT: megabytes of the device are zeroes, or the content.
reads()
{
	case $3 in
	zero) cmp -n $((($2 - $1) << 20)) -i $(($1 << 20)):0 "$dev" /dev/zero ;;
	*) cmp -n $((($2 - $1) << 20)) -i $(($1 << 20)) "$dev" "$raw_content" ;;
	esac
}

content 32M
dd if=/dev/urandom of="$mem/random" bs=1M count=8 status=none
for options in cluster_size=64k cluster_size=4k cluster_size=512 extended_l2=on \
	       compat=0.10; do
	qemu-img convert -f raw -O qcow2 -o "$options" "$raw_content" a.qcow2
	attach a.qcow2
	cluster=65536
	[[ $options != cluster_size=4k ]] || cluster=4096
	[[ $options != cluster_size=512 ]] || cluster=512
	limit discard_granularity "$cluster"
	# The content has holes of its own.
	dd if="$mem/random" of="$dev" bs=1M seek=4 oflag=direct status=none
	get_blocks a.qcow2
	before=$blocks
	blkdiscard -o 4M -l 8M "$dev"
	# From within a cluster to within another: those between them.
	blkdiscard -o $(((20 << 20) + 512)) -l $((200 << 10)) "$dev"
	get_blocks a.qcow2
	freed=$((before - blocks))
	# Blocks of the file system that small clusters share with tables stay.
	least=$((cluster < 4096 ? 5 << 20 : 7 << 20))
	[ "$freed" -gt "$least" ] || fail "$options: only $freed bytes came back"
	blockdev --flushbufs "$dev"
	reads 0 4 content
	reads 4 12 zero
	reads 12 20 content
	reads 21 32 content
	detach "$dev"
	check_clean a.qcow2
	to_raw a.qcow2 "$mem/after"
	cmp -n 8M -i 4M:0 "$mem/after" /dev/zero
	# What became free is used again, after its rest.
	attach a.qcow2
	dd if="$raw_content" of="$dev" bs=1M count=8 seek=4 oflag=direct status=none
	detach "$dev"
	check_clean a.qcow2
	to_raw a.qcow2 "$mem/after"
	cmp -n 8M "$mem/after" "$raw_content" -i 4M:0
done

# Over a base: what lies under a discarded cluster never shows through.
for options in cluster_size=64k extended_l2=on compat=0.10; do
	qemu-img create -q -f qcow2 -o "$options" -b "$raw_content" -F raw a.qcow2
	attach a.qcow2
	dd if=/dev/urandom of="$dev" bs=1M count=4 seek=8 oflag=direct status=none
	if [ "$options" = compat=0.10 ]; then
		# No entry of version 2 could say so: it cannot be discarded.
		limit discard_max_bytes 0
		blkdiscard -z -o 4M -l 8M "$dev"
	else
		blkdiscard -o 4M -l 8M "$dev"
	fi
	blockdev --flushbufs "$dev"
	reads 0 4 content
	reads 4 12 zero
	reads 12 32 content
	detach "$dev"
	check_clean a.qcow2
	to_raw a.qcow2 "$mem/after"
	cmp -n 8M -i 4M:0 "$mem/after" /dev/zero
done

# The last cluster, of which the disk has only a part.
qemu-img create -q -f qcow2 a.qcow2 $(((8 << 20) + 512))
qemu-io -f qcow2 -c "write -P 5 8M 512" a.qcow2 >/dev/null
attach a.qcow2
blkdiscard -o 8M -l 512 "$dev"
blockdev --flushbufs "$dev"
cmp -n 512 -i 8M:0 "$dev" /dev/zero
detach "$dev"
check_clean a.qcow2
[ -z "$(qemu-img map -f qcow2 a.qcow2 | tail -n +2)" ] || fail "its cluster is left"
