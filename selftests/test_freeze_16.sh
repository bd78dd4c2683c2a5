#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a freeze that fails leaves the device live; a thaw that fails leaves it frozen

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"
. "$test_dir/errors.sh"

### Freeze: I/O error, and no space

bad_disk
# shellcheck disable=SC2119
fresh_image
attach a.qcow2
put 0 101
detach "$dev"
be64 40 && l1=$value
be64 "$l1" && l2=$((value & 0x00fffffffffffe00))
attach a.qcow2
put 0 101
put 1 102
break_at all "$l2" 65536
refused "cannot be written" qcow2ctl freeze "$dev"
expect_state "$dev" live
get 1 102
refused "cannot be written" qcow2ctl detach "$dev"
expect_state "$dev" live
# What is acknowledged is not lost, and more may come.
heal
put 2 103
qcow2ctl freeze "$dev"
check_copy a.qcow2
qcow2ctl thaw "$dev"
for cluster in 0 1 2; do
	get "$cluster" $((101 + cluster))
done
# A flush that fails is another matter: what is on disk is not known any more.
put 3 104
break_at writes $((63 << 20)) $((1 << 20))
qcow2ctl freeze "$dev" 2>/dev/null && fail "frozen without a flush"
heal
expect_state "$dev" failed
get 3 104
qcow2ctl detach "$dev"
check_copy a.qcow2
rm a.qcow2

# Where a reflink shares the image's blocks, each write needs a new one.
content 16M
other_disk xfs host
cd host
qemu-img convert -f raw -O qcow2 "$raw_content" origin.qcow2
cp --reflink=always origin.qcow2 a.qcow2
attach a.qcow2
leave_space 1
dd if=/dev/zero of=rest bs=4k status=none 2>/dev/null || :
sync
# Changes the map, and nothing else.
blkdiscard -z -o 4M -l 4M "$dev"
refused "cannot be written" qcow2ctl freeze "$dev"
expect_state "$dev" live
rm filler rest
qcow2ctl freeze "$dev"
check_clean a.qcow2
cp "$raw_content" "$mem/model"
dd if=/dev/zero of="$mem/model" bs=1M seek=4 count=4 conv=notrunc status=none
to_raw a.qcow2 "$mem/frozen.raw"
cmp "$mem/frozen.raw" "$mem/model" || fail "not all of it is in the frozen image"
qcow2ctl thaw "$dev"
detach "$dev"
cd ..

### Thaw: an image that is locked, invalid, gone, or another one

qemu-img create -q -f qcow2 b.qcow2 64M
attach b.qcow2
put 0 101
qcow2ctl freeze "$dev"
dd if="$dev" of="$mem/read" bs=64k count=1 iflag=direct status=none &
reader=$!

mkfifo hold
qemu-io -f qcow2 b.qcow2 <hold >/dev/null &
holder=$!
exec {held}>hold
sleep 2
refused "stays frozen.*b.qcow2.*locked" qcow2ctl thaw "$dev"
exec {held}>&-
wait "$holder"

cp b.qcow2 kept
for spoil in "truncate -s 100 b.qcow2" "truncate -s 65536 b.qcow2" \
	"dd if=/dev/zero of=b.qcow2 bs=1 count=4 conv=notrunc status=none"; do
	$spoil
	refused "stays frozen.*b.qcow2" qcow2ctl thaw "$dev"
	expect_state "$dev" frozen
	cp kept b.qcow2
done
ln b.qcow2 same
rm b.qcow2
refused "stays frozen.*b.qcow2.*no such file" qcow2ctl thaw "$dev"
qemu-img create -q -f qcow2 b.qcow2 64M
refused "stays frozen.*another file" qcow2ctl thaw "$dev"
mv same b.qcow2
waits "$reader"
qcow2ctl thaw "$dev"
wait "$reader"
get 0 101

# Or nobody mends it: then let go of it by force.
qcow2ctl freeze "$dev"
truncate -s 100 b.qcow2
refused "stays frozen" qcow2ctl thaw "$dev"
exec {fd}<"$dev"
refused "in use" qcow2ctl detach "$dev"
qcow2ctl detach -f "$dev"
exec {fd}<&-
