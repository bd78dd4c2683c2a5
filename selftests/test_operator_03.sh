#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# image locks and windows on NFS 4.2: the server's programs see them, too

. "${0%/*}/lib.sh"
. "$test_dir/lock.sh"
. "$test_dir/nfs.sh"

# A server and a client in one machine.
nfs_needs ip
ip link set lo up
nfs_serve 127.0.0.1
mount_at mnt -t nfs4 -o vers=4.2 127.0.0.1:/
locked="in use|locked"
cd mnt
qemu-img create -q -f qcow2 base.qcow2 16M
qemu-io -f qcow2 -c "write -P 0x11 0 16M" base.qcow2 >/dev/null
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
to_raw a.qcow2 "$mem/init"
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 200 --depth 16 --init "$mem/init" \
	--model "$mem/m1" >/dev/null
refused "$locked" qcow2ctl attach a.qcow2
# By the client's name of the file, and by the server's.
qemu_on
for at in . ../export; do
	qemu_open "$at/a.qcow2" && fail "QEMU writes to $at/a.qcow2"
	# Up to the driver's own locks: qcow2ctl's forbid only writing.
	qemu_open -r "$at/a.qcow2" && fail "QEMU reads $at/a.qcow2"
	qemu_open "$at/base.qcow2" && fail "QEMU writes to $at/base.qcow2"
	qemu_open -r "$at/base.qcow2" || fail "QEMU does not read $at/base.qcow2"
	qemu_close
done
refused "$locked" qcow2ctl attach ../export/a.qcow2

qcow2ctl freeze "$dev"
qemu_open ../export/a.qcow2 || fail "the server does not get it in a window"
locker_on base.qcow2
locker thaw "${dev#/dev/qcow2}"
[[ $said =~ $locked ]] || fail "thaw said '$said' while the server has the image"
qemu "write -P 0x77 0 64k"
qemu_close
# Without qcow2ctl, which has locks of its own until the driver's are there.
locker thaw "${dev#/dev/qcow2}"
[ "$said" = "done" ] || fail "thaw said '$said'"
qemu_open ../export/a.qcow2 && fail "QEMU writes to the image after the window"
qemu_open -r ../export/a.qcow2 && fail "QEMU reads the image after the window"
dd if="$dev" of="$mem/read" bs=64k count=1 iflag=direct status=none
head -c 64k /dev/zero | tr '\0' '\167' | cmp - "$mem/read" ||
	fail "what the server wrote in the window is not there"
dd if="$mem/m1" of="$dev" bs=64k count=1 oflag=direct status=none
qcow2ctl window "$dev" -- qemu-img snapshot -c s1 a.qcow2
"$bin/diff_io" --dev "$dev" --seed 2 --ops 200 --depth 16 --init "$mem/m1" \
	--model "$mem/m2" >/dev/null
locker_off
detach "$dev"

# And the other way round.
qemu_open ../export/a.qcow2
refused "$locked" qcow2ctl attach a.qcow2
qemu_close
qemu_off
model=$mem/m2
diff_verdict a.qcow2
cd ..
