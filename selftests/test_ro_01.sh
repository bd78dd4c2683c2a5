#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# read-only: no write gets through, the file is not changed

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" a.qcow2
cp --sparse=always a.qcow2 "$mem/before"
mtime=$(stat -c %Y a.qcow2)
attach -r a.qcow2
[ "$(<"/sys/block/${dev##*/}/ro")" = 1 ] || fail "$dev is not read-only"
dd if=/dev/zero of="$dev" bs=64k count=1 oflag=direct 2>"$mem/err" &&
	fail "dd writes to $dev"
blkdiscard -z -l 64k "$dev" 2>"$mem/err" && fail "blkdiscard -z writes to $dev"
# Not even for who had it open for writing while it was.
blockdev --setrw "$dev" 2>"$mem/err" || :
dd if=/dev/zero of="$dev" bs=64k count=1 oflag=direct 2>"$mem/err" &&
	fail "dd writes to $dev after setrw"
dd if="$dev" of="$mem/read" bs=1M iflag=direct status=none
cmp "$mem/read" "$raw_content"
# A window of a read-only device is one as well.
qcow2ctl window "$dev" -- true
detach "$dev"
cmp a.qcow2 "$mem/before" || fail "the file has changed"
[ "$mtime" = "$(stat -c %Y a.qcow2)" ] || fail "the file was written"
check_clean a.qcow2
