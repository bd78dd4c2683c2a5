#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a page that is lost in writing back fails a flush, also if another write was told of it

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"
. "$test_dir/errors.sh"

# Blocks of 4 KiB and clusters of 512 bytes: the image goes through the page cache.
bad_block=4096
bad_disk
mkfs.ext4 -q -b 4096 /dev/mapper/bad
mount_at host /dev/mapper/bad

# write MIB KIB OPTION...: so much at that place.
write()
{
	dd if="$mem/data" of="$dev" bs="$2k" count=1 seek="$1M" oflag=direct,seek_bytes \
		conv=notrunc status=none "${@:3}"
}

qemu-img create -q -f qcow2 -o cluster_size=512 host/a.qcow2 16M
head -c 64k /dev/urandom >"$mem/data"
attach host/a.qcow2
[ "$(qcow2ctl info -n -r -o BUFFERED "$dev")" = 1 ] || fail "not through the page cache"
write 1 64
write 2 64 conv=fsync
# A page of the file that has nothing but some of the first ones.
host=$(qemu-img map -U --output=json --start-offset=1M --max-length=64k host/a.qcow2 |
	sed -n 's/.*"start": 1048576,.*"offset": \([0-9]*\).*/\1/p')
[ -n "$host" ] || fail "qemu-img does not say where it is"
page=$((host / 4096 + 4))
block=$(filefrag -b4096 -v host/a.qcow2 | awk -v page=$page -F '[ .:]+' '
	$2 ~ /^[0-9]+$/ && $3 <= page && page <= $4 { print $5 + page - $3 }')
[ -n "$block" ] || fail "filefrag does not say where it is"
break_at all $((block * 4096)) 4096
write 1 64
fails sync host/a.qcow2
# FUA: this write is told, not of its own page alone.
fails write 2 4 oflag=dsync
heal
expect_state "$dev" live
fails flush
expect_state "$dev" failed
detach "$dev"
check_clean host/a.qcow2
