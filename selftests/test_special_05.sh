#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# images that lie on block devices, and block devices below images

. "${0%/*}/lib.sh"

diff_seeds=2
diff_ops=400
content 16M

# Active layer on a block device.
new_disk 64M
top=$new
qemu-img create -q -f qcow2 "$top" 16M
init=
diff_image "$top"

# On a base on a block device: raw, then qcow2.
new_disk 16M
raw=$new
dd if="$raw_content" of="$raw" bs=1M oflag=direct status=none
qemu-img create -q -f qcow2 -F raw -b "$raw" a.qcow2
init=$raw_content
diff_backed a.qcow2 "$raw"
new_disk 32M
base=$new
qemu-img create -q -f qcow2 "$base" 16M
qemu-img convert -n -f raw -O qcow2 "$raw_content" "$base"
qemu-img create -q -f qcow2 -F qcow2 -b "$base" "$top"
init=$raw_content
diff_backed "$top" "$base"

# A disk that is smaller than what is in the image.
new_disk 4M
qemu-img create -q -f qcow2 "$new" 16M
attach "$new"
dd if="$raw_content" of="$dev" bs=1M count=1 oflag=direct status=none
dd if="$raw_content" of="$dev" bs=64k seek=16 skip=16 oflag=direct \
	2>"$mem/err" && fail "16 MiB fit into 4"
err=$(<"$mem/err")
[[ $err == *"No space left on device"* ]] || fail "dd said: $err"
[[ $err =~ ([0-9]+)\+0\ records\ out ]] || fail "dd said: $err"
written=${BASH_REMATCH[1]}
say "$written clusters written"
[ "$written" -gt 20 ] || fail "only $written clusters found a place"
expect_state "$dev" live
# What is there can be read and written: no cluster of that is new.
"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 8)" --ops 200 --size 1M \
	--no-zero --init "$raw_content" --model "$mem/model.1" >/dev/null
dd if="$dev" of="$mem/read" bs=64k skip=16 count="$written" iflag=direct \
	status=none
cmp -i "0:1M" -n $((written << 16)) "$mem/read" "$raw_content"
detach "$dev"
check_clean "$new"
to_raw "$new" "$mem/after.raw"
cmp -n 1M "$mem/after.raw" "$mem/model.1"
cmp -i 1M -n $((written << 16)) "$mem/after.raw" "$raw_content"
