# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# An NFS server in the guest. For tests that have sourced lib.sh.
# shellcheck disable=SC2154 # from lib.sh

# nfs_needs PROGRAM...: beside those that serve and mount
nfs_needs()
{
	local program

	for program in exportfs rpc.nfsd rpc.mountd mount.nfs4 "$@"; do
		command -v "$program" >/dev/null || skip "no $program on this machine"
	done
	! grep -qsx nfsd /proc/[0-9]*/comm || skip "this machine serves NFS already"
	modprobe -qa nfsd nfsv4 || skip "the kernel has no NFS"
}

enable_leases()
{
	echo "$1" >/proc/sys/fs/leases-enable
}

# nfs_serve WHOM: the directory export, to these addresses, by NFS 4 without the
# services that NFS 3 needs.
nfs_serve()
{
	# Unmounting it stops the server: not before what is on it is unmounted.
	mount -t nfsd nfsd /proc/fs/nfsd
	undo+=("umount /proc/fs/nfsd")
	# Delegations of this kernel's server are broken with a warning of its own.
	undo+=("enable_leases $(</proc/sys/fs/leases-enable)")
	enable_leases 0
	# It waits that long for clients of the server that was there before.
	echo 10 >/proc/fs/nfsd/nfsv4leasetime
	echo 10 >/proc/fs/nfsd/nfsv4gracetime
	mkdir export
	exportfs -o rw,no_root_squash,insecure,no_subtree_check,fsid=0 "$1:$disk/export"
	undo=("exportfs -ua" "${undo[@]}")
	rpc.mountd -N 3
	undo=("killall rpc.mountd" "${undo[@]}")
	rpc.nfsd -N 3 2
	undo=("rpc.nfsd 0" "${undo[@]}")
	# Newer kernels refuse that where nothing records clients: then it takes the
	# ten seconds.
	echo Y >/proc/fs/nfsd/v4_end_grace 2>/dev/null || :
}
