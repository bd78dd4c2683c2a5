#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# images that somebody has tampered with: refused or EIO, never worse

. "${0%/*}/lib.sh"

# HOSTILE_IMAGES of them, made with HOSTILE_SEED; make check-hostile has more.
nr=${HOSTILE_IMAGES:-160}
seed=${HOSTILE_SEED:-1}

# Content that is no deflate stream, each sector of its own kind.
content 32M
head -c 96K "$raw_content" >part.raw

kinds=()

# kind NAME SIZE [OPTION]...: an image with a bit of everything, to be added.
kind()
{
	local name=$1 size=$2

	shift 2
	qemu-img create -q -f qcow2 "$@" "$name.qcow2" "$size"
	qemu-io -f qcow2 -c "write -s part.raw 0 96k" -c "write -z 128k 64k" \
		-c "write -s part.raw 300k 20k" "$name.qcow2" >/dev/null
	kinds+=("$name.qcow2")
}

kind v2 1M -o compat=0.10
kind v3 1M
kind lazy 1M -o lazy_refcounts=on
kind small 512K -o cluster_size=512
kind small_v2 512K -o cluster_size=512,compat=0.10
kind middle 2M -o cluster_size=4k,refcount_bits=1
kind wide 2M -o cluster_size=4k,refcount_bits=64
kind extl2 2M -o cluster_size=16k,extended_l2=on
for type in zlib zstd; do
	qemu-img convert -c -f raw -O qcow2 -o "cluster_size=4k,compression_type=$type" \
		part.raw "$type.qcow2"
	qemu-img resize -q "$type.qcow2" 1M
	kinds+=("$type.qcow2")
done
# What a stream leaves of a whole piece of memory would be the canary.
qemu-img convert -c -f raw -O qcow2 part.raw large.qcow2
kinds+=(large.qcow2)
for name in snap snap_v2 snap_small; do
	case $name in
	snap) kind "$name" 1M ;;
	snap_v2) kind "$name" 1M -o compat=0.10 ;;
	snap_small) kind "$name" 512K -o cluster_size=1k ;;
	esac
	qemu-img snapshot -c one "$name.qcow2"
	qemu-io -f qcow2 -c "write -s part.raw 60k 8k" "$name.qcow2" >/dev/null
	qemu-img snapshot -c two "$name.qcow2"
	qemu-io -f qcow2 -c "write -s part.raw 30k 8k" "$name.qcow2" >/dev/null
done
kind bitmaps 1M -o cluster_size=4k
qemu-img bitmap --add bitmaps.qcow2 b0
qemu-img bitmap --add -g 64k bitmaps.qcow2 b1
kind data 1M -o data_file=data.raw
kinds[-1]+=,d=data.raw
kind data_raw 1M -o data_file=data_raw.raw,data_file_raw=on
kinds[-1]+=,d=data_raw.raw
kind over_raw 1M -b part.raw -F raw
kinds[-1]+=,r=part.raw
kind over 2M -b zlib.qcow2 -F qcow2 -o cluster_size=16k,extended_l2=on
kind over_over 2M -b over.qcow2 -F qcow2 -o cluster_size=2k
kinds[-1]+=,b=over.qcow2,b=zlib.qcow2
kinds[-2]+=,b=zlib.qcow2

limit=30
[ ! -e /proc/lockdep ] || limit=180
"$bin/mutate" --dir "$disk" --seed "$seed" --first "${HOSTILE_FIRST:-0}" \
	--nr "$nr" --jobs "${HOSTILE_JOBS:-4}" --limit "$limit" "${kinds[@]}" ||
	fail "repeat with HOSTILE_SEED, HOSTILE_FIRST, HOSTILE_IMAGES=1 in the environment"
check_usable
