#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# images on tmpfs and on overlayfs: in its upper layer, and copied up from the lower

. "${0%/*}/lib.sh"
. "$test_dir/below.sh"

mount_at host -t tmpfs -o size=512M tmpfs
cd host
new_image plain.qcow2
# What tmpfs says itself: it takes O_DIRECT from Linux 6.6 on.
buffered=0
dd if=/dev/zero of=direct bs=4k count=1 oflag=direct status=none 2>/dev/null || buffered=1
try_image "$buffered" plain.qcow2
cd ..
unmount host

modprobe -q overlay || skip "the kernel has no overlayfs"
mkdir lower upper work
new_image lower/below.qcow2
sum=$(sha256sum <lower/below.qcow2)
mount_at host -t overlay -o "lowerdir=lower,upperdir=upper,workdir=work" overlay
cd host
# Read-only it stays where it is.
attach -r below.qcow2
cmp "$dev" "$raw_content"
detach "$dev"
[ ! -e ../upper/below.qcow2 ] || fail "copied up by a reader"
try_image 0 below.qcow2
[ -e ../upper/below.qcow2 ] || fail "not copied up"
[ "$sum" = "$(sha256sum <../lower/below.qcow2)" ] || fail "the lower file has changed"
new_image new.qcow2
# On a backing file that is in the lower layer.
cp --sparse=always "$raw_content" ../lower/base.raw
cd ..
unmount host
mount_at host -t overlay -o "lowerdir=lower,upperdir=upper,workdir=work" overlay
cd host
try_image 0 new.qcow2
qemu-img create -q -f qcow2 -F raw -b base.raw top.qcow2
init=$raw_content
diff_backed top.qcow2 base.raw
[ ! -e ../upper/base.raw ] || fail "the backing file was copied up"
cd ..
