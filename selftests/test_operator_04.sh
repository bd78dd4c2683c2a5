#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# image locks and windows of an image directly on a block device

. "${0%/*}/lib.sh"
. "$test_dir/lock.sh"

locked="in use|locked"
truncate -s 64M disk base
for name in disk base; do
	loop=$(losetup -f --show "$name")
	undo+=("losetup -d $loop")
	ln -s "$loop" "$name.dev"
done
image=$(readlink disk.dev)
base=$(readlink base.dev)
qemu-img create -q -f qcow2 "$base" 16M
qemu-img create -q -f qcow2 -b "$base" -F qcow2 "$image"
qemu_on

attach disk.dev
a=$dev
"$bin/diff_io" --dev "$a" --seed 1 --ops 200 --depth 16 --model "$mem/m1" >/dev/null
qemu_open "$image" && fail "QEMU writes to the image of a live device"
qemu_open "$base" && fail "QEMU writes to the backing file of a live device"
refused "$locked" qcow2ctl attach "$image"
# Locks belong to the node, of which there may be two for one disk.
read -r number <"/sys/block/${image##*/}/dev"
mknod second b "${number%:*}" "${number#*:}"
refused "$locked" qcow2ctl attach second
refused "$locked" qcow2ctl attach -r second
read -r number <"/sys/block/${base##*/}/dev"
mknod under b "${number%:*}" "${number#*:}"
refused "$locked" qcow2ctl attach under
attach -r under
detach "$dev"

qcow2ctl freeze "$a"
qemu_open "$image" || fail "QEMU does not get it in a window"
locker_on "$base"
locker thaw "${a#/dev/qcow2}"
[[ $said =~ $locked ]] || fail "thaw said '$said' while QEMU has the image"
qemu_close
# In a window it is anybody's, by any node.
attach second
locker thaw "${a#/dev/qcow2}"
[[ $said =~ $locked ]] || fail "thaw said '$said' while a device has the image"
detach "$dev"
locker_off
qcow2ctl thaw "$a"
qcow2ctl window "$a" -- qemu-img snapshot -c s1 "$image"
"$bin/diff_io" --dev "$a" --seed 2 --ops 200 --depth 16 --init "$mem/m1" \
	--model "$mem/m2" >/dev/null
detach "$a"

qemu_open "$image"
refused "$locked" qcow2ctl attach "$image"
qemu_close
qemu_off
model=$mem/m2
diff_verdict "$image"
qemu-img snapshot -l "$image" >/dev/null
check_usable
