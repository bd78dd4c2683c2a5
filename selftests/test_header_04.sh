#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# what is odd but allowed is accepted, and means what QEMU takes it for

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

head -c 1M /dev/zero | tr '\0' '\21' >"$mem/full"

# A size that is no multiple of 512: the disk is what is whole of it.
qemu-img create -q -f qcow2 a.qcow2 1M
qemu-io -f qcow2 -c "write -P 17 0 1M" a.qcow2 >/dev/null
put64 24 $(((1 << 20) - 100))
attach a.qcow2
[ "$(<"/sys/block/${dev##*/}/size")" = 2047 ] || fail "the disk has another size"
cmp -n $((2047 * 512)) "$dev" "$mem/full"
detach "$dev"
check_clean a.qcow2

# No COPIED flag anywhere: refcounts tell that the clusters are the image's own.
qemu-img create -q -f qcow2 a.qcow2 1M
qemu-io -f qcow2 -c "write -P 17 0 1M" a.qcow2 >/dev/null
be64 40
l1=$value
l2_entry 0
l2=$value
put64 "$l1" "$l2"
for i in 0 1 2 3; do
	put64 $((l2 + 8 * i)) $((0x50000 + 65536 * i))
done
size=$(stat -c %s a.qcow2)
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 200 --depth 8 --no-zero \
	--init "$mem/full" --model "$mem/model" ||
	fail "other content"
detach "$dev"
check_clean a.qcow2
[ "$(stat -c %s a.qcow2)" = "$size" ] || fail "clusters were copied"
to_raw a.qcow2 "$mem/after"
cmp "$mem/after" "$mem/model"

# The last cluster of the file cut short: it goes on with zeroes.
qemu-img create -q -f qcow2 a.qcow2 1M
qemu-io -f qcow2 -c "write -P 17 0 64k" a.qcow2 >/dev/null
truncate -s $((0x50000 + 60000)) a.qcow2
to_raw a.qcow2 "$mem/want"
for how in -r ''; do
	attach $how a.qcow2
	cmp "$dev" "$mem/want" || fail "other content than QEMU's"
	[ "$how" = -r ] ||
		dd if=/dev/zero of="$dev" bs=4k seek=15 count=1 oflag=direct status=none
	detach "$dev"
done
check_clean a.qcow2

# A compressed cluster whose last sector the end of the file cuts.
head -c 64K "$mem/full" >part.raw
qemu-img convert -c -f raw -O qcow2 part.raw a.qcow2
l2_entry 0
be64 "$value"
host=$((value & ((1 << 54) - 1)))
# The stream of a repeated byte takes less than that.
truncate -s $((host + 200)) a.qcow2
to_raw a.qcow2 "$mem/want"
cmp -n 65536 "$mem/want" part.raw
for how in -r ''; do
	attach $how a.qcow2
	cmp "$dev" "$mem/want" || fail "other content than QEMU's"
	detach "$dev"
done
