#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# what the driver does not support is refused by its name

. "${0%/*}/lib.sh"

# unsupported WORDS OPTIONS: such an image is refused, to read and to write.
unsupported()
{
	qemu-img create -q -f qcow2 -o "$2" a.qcow2 8M
	refused "a.qcow2.*($1)" qcow2ctl attach a.qcow2
	refused "a.qcow2.*($1)" qcow2ctl attach -r a.qcow2
}

for size in 512 32768 131072 2097152; do
	unsupported "cluster.*$size|$size.*cluster" "cluster_size=$size"
done
for bits in 1 8 64; do
	unsupported "refcount.*$bits|$bits.*refcount" "refcount_bits=$bits"
done
unsupported "extended l2|subcluster" "extended_l2=on"
unsupported "zstd|compression" "compression_type=zstd"
unsupported "data file" "data_file=a.data,data_file_raw=on"

qemu-img create -q -f qcow2 --object secret,id=s,data=word \
	-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 a.qcow2 8M
refused "a.qcow2.*(encrypt|luks)" qcow2ctl attach a.qcow2
refused "a.qcow2.*(encrypt|luks)" qcow2ctl attach -r a.qcow2

# patch OFFSET OCTAL: a byte of the header.
patch()
{
	# shellcheck disable=SC2059
	printf "\\$2" | dd of=a.qcow2 bs=1 seek="$1" conv=notrunc status=none
}

# The last byte of the incompatible features.
qemu-img create -q -f qcow2 a.qcow2 8M
patch 79 001
refused "a.qcow2.*(dirty|not closed cleanly)" qcow2ctl attach a.qcow2
patch 79 002
refused "a.qcow2.*corrupt" qcow2ctl attach a.qcow2
patch 79 200
refused "a.qcow2.*(unknown|feature)" qcow2ctl attach a.qcow2
refused "a.qcow2.*(unknown|feature)" qcow2ctl attach -r a.qcow2
patch 79 000
attach a.qcow2
detach "$dev"
patch 7 004
refused "a.qcow2.*version 4" qcow2ctl attach a.qcow2
patch 7 001
refused "a.qcow2.*version 1" qcow2ctl attach a.qcow2

qemu-img create -q -f qcow2 a.qcow2 8M
qemu-img bitmap --add a.qcow2 b0
refused "a.qcow2.*bitmap" qcow2ctl attach a.qcow2
qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 -o cluster_size=65536 b.qcow2
# Of a base the driver only reads.
attach b.qcow2
detach "$dev"

# The same in a backing file, where it is read.
qemu-img create -q -f qcow2 -o extended_l2=on base.qcow2 8M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
refused "base.qcow2.*(extended l2|subcluster)" qcow2ctl attach a.qcow2
check_usable
