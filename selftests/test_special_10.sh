#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# on a disk with blocks of 4 KiB, memory that pages cut: the host's page cache has no part in it

. "${0%/*}/lib.sh"

command -v fincore >/dev/null || skip "no fincore"

# job FILE ARGUMENT...: the same writes, or the reading of what they wrote
job()
{
	fio --output="$mem/fio" --name=cut --filename="$1" --direct=1 --ioengine=libaio \
		--iodepth=8 --rw=randwrite --bsrange=4k-96k --size=8m --randseed=7 \
		--verify=crc32c "${@:2}" || fail "$(<"$mem/fio")"
}

disk_4k
content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
# ext4 keeps the page with the end of a file that is made longer.
truncate -s 256K a.qcow2
attach a.qcow2
# What qemu-img has left there.
sync
echo 1 >/proc/sys/vm/drop_caches
# Memory of which no two pages that follow each other do so in the machine.
python3 - "$mem/memory" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for first in 0, 1:
    for page in range(first, 512, 2):
        os.pwrite(fd, b"x", page * 4096)
END
# fio takes this for the distance from a page.
job "$dev" --iomem_align=512 --mem="mmapshared:$mem/memory"
job "$dev" --verify_only=1
for file in a.qcow2 base.qcow2; do
	pages=$(fincore --noheadings --output PAGES "$file")
	[ "$pages" -eq 0 ] || fail "$pages pages of $file are in the page cache"
done
detach "$dev"
check_clean a.qcow2
qemu-img convert -f qcow2 -O raw a.qcow2 a.raw
job a.raw --verify_only=1
cmp -i 8M a.raw "$raw_content"
