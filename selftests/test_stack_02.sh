#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# io_uring, libaio and mmap, verified by fio; fstrim gives the host space back

. "${0%/*}/lib.sh"

# engine NAME FILE OPTION...: writes at random, then all of it is read.
engine()
{
	local name=$1 file=$2

	shift 2
	say "$name on $file"
	fio --name="$name" --ioengine="$name" --filename="$file" --size=8M \
		--rw=randwrite --bsrange=4k-64k --randseed=7 --verify=crc32c \
		--verify_fatal=1 --do_verify=1 --thread --output="$mem/fio" "$@" ||
		fail "fio: $(<"$mem/fio")"
}

# map OFFSET: 8 MiB of content to pages of the device, in any order. fio's engine
# writes nothing to what it maps of a block device, a loop device neither.
map()
{
	say "mmap on $dev"
	python3 - "$dev" "$((${1%M} << 20))" "$raw_content" <<-'END'
		import mmap, random, sys

		size = 8 << 20
		with open(sys.argv[3], "rb") as content:
		    data = content.read(size)
		with open(sys.argv[1], "r+b") as dev:
		    pages = mmap.mmap(dev.fileno(), size, offset=int(sys.argv[2]))
		    order = list(range(0, size, 4096))
		    random.Random(7).shuffle(order)
		    for at in order:
		        pages[at:at + 4096] = data[at:at + 4096]
		    pages.flush()
	END
	cmp -n 8M -i "0:$1" "$raw_content" "$dev" || fail "the device reads other content"
}

# What fio has written is to be found by it in what QEMU reads.
engine_again()
{
	fio --name="$1" --ioengine=sync --filename="$mem/raw" --offset="$2" --size=8M \
		--rw=randwrite --bsrange=4k-64k --randseed=7 --verify=crc32c \
		--verify_fatal=1 --verify_only --thread --output="$mem/fio" ||
		fail "fio, of $1: $(<"$mem/fio")"
}

content 16M
qemu-img create -q -f qcow2 a.qcow2 64M
attach a.qcow2
engine io_uring "$dev" --direct=1 --iodepth=16
engine libaio "$dev" --direct=1 --iodepth=16 --offset=16M
engine io_uring "$dev" --iodepth=8 --offset=32M
map 48M
detach "$dev"
check_clean a.qcow2
to_raw a.qcow2 "$mem/raw"
engine_again io_uring 0
engine_again libaio 16M
engine_again io_uring 32M
cmp -n 8M -i 0:48M "$raw_content" "$mem/raw" || fail "QEMU reads other than what was mapped"
rm a.qcow2

qemu-img create -q -f qcow2 a.qcow2 512M
for type in ext4 xfs btrfs; do
	attach a.qcow2
	blkdiscard -f "$dev" 2>/dev/null
	"mkfs.$type" -q "$dev" 2>/dev/null
	mount_at mnt "$dev"
	get_blocks a.qcow2
	empty=$blocks
	head -c 24M /dev/urandom >mnt/file
	sync mnt/file
	engine mmap mnt/mapped
	get_blocks a.qcow2
	full=$blocks
	[ $((full - empty)) -ge $((32 << 20)) ] || fail "$type: 32 MiB take $((full - empty))"
	rm mnt/file mnt/mapped
	sync -f mnt
	fstrim mnt
	get_blocks a.qcow2
	say "$type: $empty bytes empty, $full with 32 MiB, $blocks after fstrim"
	[ $((blocks - empty)) -lt $((8 << 20)) ] || fail "$type: $((blocks - empty)) are left"
	unmount mnt
	detach "$dev"
	check_clean a.qcow2
done
