#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# who comes first has the image: QEMU, a device, another device, in windows too

. "${0%/*}/lib.sh"
. "$test_dir/lock.sh"

qemu-img create -q -f qcow2 base.qcow2 16M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
ln -s a.qcow2 link.qcow2
ln a.qcow2 hard.qcow2
mount_at other --bind "$disk"
locked="in use|locked"
qemu_on

# Whatever it is called.
attach a.qcow2
a=$dev
index=${a#/dev/qcow2}
for name in link.qcow2 hard.qcow2 other/a.qcow2 "/proc/self/cwd/a.qcow2"; do
	refused "$locked" qcow2ctl attach "$name"
done
# Who only reads would read half of the truth.
qemu_open a.qcow2 && fail "QEMU writes to the image of a live device"
qemu_open -r a.qcow2 && fail "QEMU reads the image of a live device"
qemu_open base.qcow2 && fail "QEMU writes to the backing file of a live device"
qemu_open -r base.qcow2 || fail "QEMU does not read the backing file"
qemu_close

# A window is for whoever comes. Thaw has to wait for their end.
"$bin/diff_io" --dev "$a" --seed 1 --ops 100 --depth 8 >/dev/null
qcow2ctl freeze "$a"
locker_on base.qcow2
for image in a.qcow2 base.qcow2; do
	qemu_open "$image" || fail "QEMU does not get $image in a window"
	locker thaw "$index"
	[[ $said =~ $locked ]] || fail "thaw said '$said' while QEMU has $image"
	expect_state "$a" frozen
	qemu_close
done
# qcow2ctl is patient: who has it now will soon be done.
qemu_open a.qcow2
qcow2ctl thaw "$a" 2>"$mem/err" &
thaw=$!
sleep 0.7
expect_state "$a" frozen
qemu "write -P 0x5a 1M 64k"
qemu_close
wait "$thaw" || fail "thaw: $(<"$mem/err")"
expect_state "$a" live
dd if="$a" of="$mem/read" bs=64k skip=16 count=1 iflag=direct status=none
head -c 64k /dev/zero | tr '\0' '\132' | cmp - "$mem/read" ||
	fail "what QEMU wrote in the window is not there"

# Another device may have it in a window, as any other program may.
qcow2ctl freeze "$a"
attach a.qcow2
refused "$locked" qcow2ctl attach a.qcow2
refused "$locked" qcow2ctl thaw "$a"
dd if=/dev/urandom of="$mem/data" bs=64k count=1 status=none
dd if="$mem/data" of="$dev" bs=64k seek=16 oflag=direct status=none
detach "$dev"
qcow2ctl thaw "$a"
dd if="$a" of="$mem/read" bs=64k skip=16 count=1 iflag=direct status=none
cmp "$mem/read" "$mem/data" || fail "what the other device wrote is not there"

# No other file of the chain is let go of by a window of somebody else.
attach -r base.qcow2
qcow2ctl window "$dev" -- true
qemu_open base.qcow2 && fail "QEMU writes to the backing file of a live device"
detach "$dev"
locker_off
qemu_off
unmount other
detach "$a"
check_clean a.qcow2
qemu-io -f qcow2 -c "read 1M 64k" a.qcow2 >/dev/null
check_usable
