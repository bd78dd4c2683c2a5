#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a snapshot table that breaks the rules is refused

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

qemu-img create -q -f qcow2 a.qcow2 2M
qemu-img snapshot -c one a.qcow2
qemu-img snapshot -c two a.qcow2
cp a.qcow2 seed.qcow2
be64 64
table=$value
size=$(stat -c %s a.qcow2)

# bad WORDS OFFSET HEX...: bytes of the first entry.
bad()
{
	local words=$1 at=$2

	shift 2
	put_bytes $((table + at)) "$@"
	refused "a.qcow2.*$words" qcow2ctl attach a.qcow2
	refused "a.qcow2.*$words" qcow2ctl attach -r a.qcow2
	cp seed.qcow2 a.qcow2
}

attach a.qcow2
detach "$dev"
cmp a.qcow2 seed.qcow2
# Unaligned, at 0, beyond the end, overflowing.
bad "L1 table offset.*snapshot" 6 02 00
bad "L1 table offset.*snapshot" 0 00 00 00 00 00 00 00 00
bad "snapshot lies beyond" 4 10 00 00 00
bad "L1 table offset.*snapshot" 0 ff ff ff ff ff ff 00 00
# Longer than 32 MiB, then longer than the file.
bad "snapshot is larger than 32 MiB" 8 00 40 00 01
bad "snapshot is larger than 32 MiB" 8 ff ff ff ff
bad "snapshot lies beyond" 8 00 40 00 00
# Extra data of more than 1024 bytes, and of less than 16.
bad "1025 bytes of extra data" 36 00 00 04 01
bad "4294967295 bytes of extra data" 36 ff ff ff ff
bad "only 15 bytes of extra data" 36 00 00 00 0f
# A name that ends beyond the file, and a third entry that is not there.
bad "snapshot table lies beyond" 12 ff ff ff ff
put_bytes 60 00 00 00 03
refused "a.qcow2.*only 0 bytes of extra data" qcow2ctl attach a.qcow2
cp seed.qcow2 a.qcow2
put64 64 $(((size + 65535) & ~65535))
refused "a.qcow2.*snapshot table lies beyond" qcow2ctl attach a.qcow2
put64 64 $((table + 8))
refused "a.qcow2.*snapshot table offset" qcow2ctl attach a.qcow2
put64 64 0
refused "a.qcow2.*snapshot table offset" qcow2ctl attach a.qcow2
cp seed.qcow2 a.qcow2
put_bytes 60 00 01 00 01
refused "a.qcow2.*65537 snapshots" qcow2ctl attach a.qcow2

# A table of more than 64 MiB: 511 entries with the longest names, and one more.
cp seed.qcow2 a.qcow2
truncate -s 256M a.qcow2
put64 64 $((128 << 20))
dd if=a.qcow2 of=entry bs=1 skip="$table" count=56 status=none
# 56 bytes and two names of 65535: the next begins 131128 bytes later.
printf '\xff\xff\xff\xff' | dd of=entry bs=1 seek=12 conv=notrunc status=none
printf '\0\0\0\x10' | dd of=entry bs=1 seek=36 conv=notrunc status=none
truncate -s 131128 entry
for ((i = 0; i < 9; i++)); do
	cat entry entry >twice
	mv twice entry
done
dd if=entry of=a.qcow2 bs=1M seek=128 conv=notrunc status=none
put_bytes 60 00 00 01 ff
attach -r a.qcow2
detach "$dev"
put_bytes 60 00 00 02 00
refused "a.qcow2.*snapshot table is larger than 64 MiB" qcow2ctl attach -r a.qcow2

# Version 2 had no extra data.
qemu-img create -q -f qcow2 -o compat=0.10 a.qcow2 2M
qemu-img snapshot -c one a.qcow2
be64 64
put_bytes $((value + 36)) 00 00 00 00
attach a.qcow2
detach "$dev"

# At thaw it is looked at again.
cp seed.qcow2 a.qcow2
attach a.qcow2
qcow2ctl freeze "$dev"
put_bytes $((table + 36)) ff ff ff ff
refused "a.qcow2.*bytes of extra data" qcow2ctl thaw "$dev"
expect_state "$dev" frozen
cp seed.qcow2 a.qcow2
qcow2ctl thaw "$dev"
detach "$dev"
check_usable
