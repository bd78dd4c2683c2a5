#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a page that is lost in writing back fails a flush, also if another write was told of it

. "${0%/*}/lib.sh"

# Blocks of 4 KiB and clusters of 512 bytes: the image goes through the page cache.
truncate -s 256M below
loop=$(losetup -f --show -b 4096 below)
undo+=("dmsetup remove --noudevsync bad" "losetup -d $loop")
sectors=$((256 << 11))
dmsetup create bad --noudevsync --table "0 $sectors linear $loop 0"
dmsetup mknodes bad
mkfs.ext4 -q -b 4096 /dev/mapper/bad
mount_at host /dev/mapper/bad

# table FIRST: the block that begins at this sector fails, or none.
table()
{
	if [ $# = 0 ]; then
		echo "0 $sectors linear $loop 0"
	else
		echo "0 $1 linear $loop 0"
		echo "$1 8 error"
		echo "$(($1 + 8)) $((sectors - $1 - 8)) linear $loop $(($1 + 8))"
	fi | dmsetup load --noudevsync bad
	dmsetup suspend --nolockfs --noudevsync bad
	dmsetup resume --noudevsync bad
}

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
table $((block * 8))
write 1 64
sync host/a.qcow2 2>/dev/null && fail "the page was not lost"
# FUA: this write is told, not of its own page alone.
write 2 4 oflag=dsync 2>/dev/null && fail "a page was lost, and a write with FUA is well"
table
expect_state "$dev" live
dd if=/dev/null of="$dev" conv=fsync,notrunc status=none 2>/dev/null &&
	fail "a page was lost, and a flush is well"
expect_state "$dev" failed
detach "$dev"
check_clean host/a.qcow2
