#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# an image on a disk encrypted in blocks of 4 KiB: memory must be aligned as for that disk

. "${0%/*}/lib.sh"

command -v cryptsetup >/dev/null || skip "no cryptsetup"
modprobe -qa dm_mod dm_crypt || skip "the kernel has no dm-crypt"

# direct FILE OFFSET: what becomes of a block from memory that is this far from a page
direct()
{
	python3 - "$1" "$2" <<'END'
import errno, mmap, os, sys
# In the middle of a huge page, so that nothing but its beginning is odd.
memory = mmap.mmap(-1, 4 << 20)
memory.madvise(mmap.MADV_HUGEPAGE)
memory[:] = b"x" * (4 << 20)
offset = (2 << 20) + int(sys.argv[2])
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
try:
    print(os.pwritev(fd, [memoryview(memory)[offset:offset + 4096]], 8192))
except OSError as e:
    print(errno.errorcode[e.errno])
END
}

new_disk 64M
head -c 32 /dev/urandom >"$mem/key"
DM_DISABLE_UDEV=1 cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 \
	--key-file "$mem/key" --sector-size 4096 "$new" qcow2test
undo=("env DM_DISABLE_UDEV=1 cryptsetup close qcow2test" "${undo[@]}")
image=/dev/mapper/qcow2test

for offset in 0 512; do
	expected[offset]=$(direct "$image" $offset)
	say "$image, memory at $offset: ${expected[offset]}"
done
qemu-img create -q -f qcow2 "$image" 16M
attach "$image"
for offset in 0 512; do
	got=$(direct "$dev" $offset)
	[ "$got" = "${expected[offset]}" ] || fail "memory at $offset: $got"
done
expect_state "$dev" live
detach "$dev"
check_clean "$image"

content 16M
qemu-img create -q -f qcow2 "$image" 16M
attach "$image"
dd if="$raw_content" of="$dev" bs=12k oflag=direct status=none
cmp "$raw_content" "$dev"
detach "$dev"
check_clean "$image"
qemu-img compare -q -f qcow2 -F raw "$image" "$raw_content" || fail "QEMU finds something else"
