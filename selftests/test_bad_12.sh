#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# tables as large as they may be: bounded memory, bounded time

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

# 128 GiB of 512 byte clusters take the largest L1 table, 32 MiB. Nine of them
# are more than a chain may have.
qemu-img create -q -f qcow2 -o cluster_size=512 a.qcow2 1M
truncate -s 33M a.qcow2
put64 24 $((128 << 30))
put_bytes 36 00 40 00 00
put64 40 $((1 << 20))
mv a.qcow2 1.qcow2
for i in 2 3 4 5 6 7 8 9; do
	cp --sparse=always 1.qcow2 "$i.qcow2"
	qemu-img rebase -u -b "$((i - 1)).qcow2" -F qcow2 "$i.qcow2"
done
refused "L1 tables of the chain are larger than 256 MiB" qcow2ctl attach 9.qcow2
attach 8.qcow2
dd if="$dev" of=/dev/null bs=1M skip=131071 count=1 iflag=direct status=none
detach "$dev"
rm ./*.qcow2

# As many bitmaps as there may be, with the shortest entries: 24 bytes without a
# name. They are marked in use by the first write, which allocates nothing.
qemu-img create -q -f qcow2 a.qcow2 1M
qemu-img bitmap --add a.qcow2 b0
qemu-io -f qcow2 -c "write -P 1 0 64k" a.qcow2 >/dev/null
at=$(LC_ALL=C grep -obUaP '\x23\x85\x28\x75\x00\x00\x00\x18' a.qcow2 | head -n 1 | tr -d '\0')
at=${at%%:*}
directory=$((16 << 20))
put_bytes $((at + 8)) 00 00 ff ff
put64 $((at + 16)) $((24 * 65535))
put64 $((at + 24)) "$directory"
# repeat HEX FILE: 65535 entries with these flags.
repeat()
{
	local i

	printf "\\0\\0\\0\\0\\0\\5\\0\\0\\0\\0\\0\\1\\0\\0\\0%b" \
		"\\$1\\1\\20\\0\\0\\0\\0\\0\\0" >one
	for ((i = 0; i < 16; i++)); do
		cat one one >two
		mv two one
	done
	head -c $((24 * 65535)) one >"$2"
}
repeat 2 clean
repeat 3 in_use
dd if=clean of=a.qcow2 bs=1M seek=16 conv=notrunc status=none
attach a.qcow2
start=${EPOCHREALTIME/./}
dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct status=none
took=$(((${EPOCHREALTIME/./} - start) / 1000))
say "65535 bitmaps marked in $took ms"
[ "$took" -lt 20000 ] || fail "that took $took ms"
detach "$dev"
cmp -n "$(stat -c %s in_use)" -i "$directory:0" a.qcow2 in_use ||
	fail "not all bitmaps are in use"

# A directory that contradicts itself in its last entry: nothing is written.
dd if=clean of=a.qcow2 bs=1M seek=16 conv=notrunc status=none
put64 88 1
put_bytes $((directory + 24 * 65534 + 20)) 00 00 10 00
cp a.qcow2 before.qcow2
attach a.qcow2
dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct status=none 2>/dev/null &&
	fail "a write succeeds"
expect_state "$dev" failed
qcow2ctl detach "$dev" || qcow2ctl detach -f "$dev"
put64 72 0
cmp a.qcow2 before.qcow2 || fail "the image has changed"
check_usable
