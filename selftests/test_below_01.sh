#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# images on btrfs: plain, a reflinked copy, compressed, without copy-on-write

. "${0%/*}/lib.sh"
. "$test_dir/below.sh"

# compressed_extents FILE: how many of its extents btrfs has compressed, into
# $extents.
compressed_extents()
{
	local out

	sync "$1"
	out=$(filefrag -v "$1")
	extents=$(grep -c encoded <<<"$out") || :
	say "$1: $extents compressed extents"
}

# stable IMAGE 0|1: what mounts the disk must not change pages that are being written,
# of which btrfs takes checksums.
stable()
{
	attach "$1"
	[ "$(<"/sys/block/${dev##*/}/queue/stable_writes")" = "$2" ] ||
		fail "$1: stable_writes is not $2"
	detach "$dev"
}

host_disk btrfs
cd host
try_reflinked
# That of Linux 6.1 does not ask for it.
[[ $(uname -r) == 6.1.* ]] || stable copy.qcow2 1

: >nocow.qcow2
chattr +C nocow.qcow2
cat copy.qcow2 >nocow.qcow2
[[ $(lsattr nocow.qcow2) == *C* ]] || fail "nocow.qcow2 is copied on write"
init=$model
expect_buffered 0 nocow.qcow2
diff_image nocow.qcow2

# What is there when the driver comes is compressed, clusters and tables.
perl -e 'printf "%s%06d", "text" x 30, $_ for 1 .. 133152' >"$mem/text"
truncate -s 16M "$mem/text"
qemu-img convert -f raw -O qcow2 "$mem/text" "$mem/text.qcow2"
: >zstd.qcow2
btrfs property set zstd.qcow2 compression zstd
cat "$mem/text.qcow2" >zstd.qcow2
compressed_extents zstd.qcow2
[ "$extents" -gt 20 ] || fail "btrfs has not compressed it"
expect_buffered 0 zstd.qcow2
init=$mem/text
diff_image zstd.qcow2
init=$model
window_in zstd.qcow2
cd ..
unmount host
btrfs check below >"$mem/check" 2>&1 || fail "btrfs check: $(<"$mem/check")"
