#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# two clients of one NFS server, each in a network namespace: image locks, windows, I/O

. "${0%/*}/lib.sh"
. "$test_dir/lock.sh"
. "$test_dir/below.sh"
. "$test_dir/nfs.sh"

nfs_needs ip nsenter unshare
modprobe -q veth || skip "the kernel has no veth"

# client NUMBER: the export at mntNUMBER, as a machine with another name and
# another address.
client()
{
	ip netns add "client$1"
	undo+=("ip netns delete client$1")
	ip link add "server$1" type veth peer name eth0 netns "client$1"
	ip address add "10.99.$1.1/24" dev "server$1"
	ip link set "server$1" up
	ip -n "client$1" link set lo up
	ip -n "client$1" address add "10.99.$1.2/24" dev eth0
	ip -n "client$1" link set eth0 up
	mkdir "mnt$1"
	# shellcheck disable=SC2016 # in the namespaces
	nsenter --net="/run/netns/client$1" unshare --uts bash -c '
		echo "client$1" >/proc/sys/kernel/hostname
		mount -t nfs4 -o vers=4.2 "10.99.$1.1:/" "mnt$1"
	' - "$1"
	mounts+=("$disk/mnt$1")
}

# shows BYTES OCTAL: is that what the other client wrote in the window?
shows()
{
	dd if="$dev" of="$mem/read" bs="$1" count=1 iflag=direct status=none
	head -c "$1" /dev/zero | tr '\0' "\\$2" | cmp - "$mem/read" ||
		fail "what the other client wrote in the window is not there"
}

nfs_serve 10.99.0.0/16
client 1
client 2
[ "$(find /proc/fs/nfsd/clients -name info | wc -l)" = 2 ] ||
	fail "the server does not see two clients"
locked="in use|locked"
new_image mnt1/a.qcow2
expect_buffered 0 mnt1/a.qcow2
attach mnt1/a.qcow2
refused "$locked" qcow2ctl attach mnt2/a.qcow2
refused "$locked" qcow2ctl attach export/a.qcow2
qemu_on
qemu_open mnt2/a.qcow2 && fail "QEMU writes to what another client has"
# That is up to the driver's own locks: qcow2ctl's forbid only writing.
qemu_open -r mnt2/a.qcow2 && fail "QEMU reads what another client has"
# In a window the other client has the image, and gives it back.
qcow2ctl freeze "$dev"
qemu_open mnt2/a.qcow2 || fail "QEMU does not get it in a window"
qemu "write -P 0x77 0 64k"
refused "$locked" qcow2ctl thaw "$dev"
qemu_close
qcow2ctl thaw "$dev"
shows 64k 167
qemu_open mnt2/a.qcow2 && fail "QEMU writes to the image after the window"
qemu_open -r mnt2/a.qcow2 && fail "QEMU reads the image after the window"
# Again, but the file becomes longer, and it is not opened again for the thaw.
locker_on /dev/null
locker freeze "${dev#/dev/qcow2}"
[ "$said" = "done" ] || fail "freeze: $said"
qemu-img snapshot -c longer mnt2/a.qcow2
qemu-io -f qcow2 -c "write -P 0x78 0 1M" mnt2/a.qcow2 >/dev/null
locker thaw "${dev#/dev/qcow2}"
[ "$said" = "done" ] || fail "thaw: $said"
locker_off
shows 1M 170
dd if="$raw_content" of="$dev" bs=1M count=1 oflag=direct status=none
detach "$dev"
qemu_open mnt2/a.qcow2 || fail "QEMU does not get what was detached"
refused "$locked" qcow2ctl attach mnt1/a.qcow2
qemu_close
qemu_off
# By turns.
init=$raw_content
diff_image mnt1/a.qcow2
init=$model
window_in mnt2/a.qcow2
to_raw mnt1/a.qcow2 "$mem/first"
cmp "$mem/first" "$model" || fail "the first client reads other content"
rm "$mem/first"
# From one host to the other while nobody closes it: frozen here, attached there,
# and what is still frozen writes nothing when it goes.
init=$model
attach mnt1/a.qcow2
old=$dev
exec {fd}<>"$old"
qcow2ctl freeze "$old"
attach mnt2/a.qcow2
refused "$locked" qcow2ctl thaw "$old"
DIFF_SEED=70
"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 0)" --ops "$diff_ops" --depth 8 \
	--init "$init" --model "$mem/moved" \
	--exec-at 200 "qcow2ctl detach -f $old" >/dev/null
exec {fd}>&-
detach "$dev"
model=$mem/moved
diff_verdict mnt1/a.qcow2
# The log and the metadata of XFS come from kmalloc(), which NFS cannot send.
qemu-img create -q -f qcow2 mnt1/xfs.qcow2 320M
attach mnt1/xfs.qcow2
mkfs.xfs -q "$dev"
mount_at fs "$dev"
for i in {1..40}; do
	head -c "${i}K" "$raw_content" >"fs/$i"
done
unmount fs
xfs_repair -n "$dev" >"$mem/repair" 2>&1 || fail "$(<"$mem/repair")"
detach "$dev"
check_clean mnt1/xfs.qcow2

# Nor tables that are smaller than a page.
qemu-img convert -f raw -O qcow2 -o cluster_size=512 "$raw_content" mnt1/small.qcow2
init=$raw_content
DIFF_SEED=80
diff_image mnt1/small.qcow2
