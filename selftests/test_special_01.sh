#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# compressed clusters on both sides of 4 GiB in the file, and one across it

. "${0%/*}/lib.sh"

end=$((1 << 32))
start=$((end - (2 << 20)))
size=$((4 << 20))
# Text: three quarters of it are left, so that nearly every stream crosses
# the border of two clusters.
head -c "$size" /dev/urandom | base64 -w 0 | head -c "$size" >"$mem/text" || :
truncate -s "$start" "$mem/init.raw"
cat "$mem/text" >>"$mem/init.raw"
truncate -s $((start + 2 * size)) "$mem/init.raw"

# words OFFSET NUMBER: so many numbers of 64 bits there in a.qcow2, into $words.
words()
{
	mapfile -t words < <(od -An -v -tx8 --endian=big -w8 -j "$1" \
		-N $((8 * $2)) a.qcow2)
	words=("${words[@]# }")
}

# find_streams CLUSTER_BITS: how many streams lie below 4 GiB, across it, and
# above it, of those that the two L2 tables name in which the text is.
find_streams()
{
	local bits=$1 shift=$((70 - $1)) table_bits l1 word from to

	table_bits=$((2 * bits - 3))
	words 40 1
	l1=$((16#${words[0]}))
	words $((l1 + 8 * (start >> table_bits))) 2
	below=0 across=0 above=0
	for l1 in "${words[@]}"; do
		words $((16#$l1 & 0xfffffffffffe00)) $((1 << (bits - 3)))
		for word in "${words[@]}"; do
			[[ $word == [4-7]* ]] || continue
			word=$((16#$word & ~(1 << 62)))
			from=$((word & ((1 << shift) - 1)))
			to=$(((from & ~511) + ((word >> shift) + 1) * 512))
			if [ "$to" -le "$end" ]; then
				below=$((below + 1))
			elif [ "$from" -lt "$end" ]; then
				across=$((across + 1))
			else
				above=$((above + 1))
			fi
		done
	done
}

# range FILE: what QEMU finds where the text is, and as much behind it.
range()
{
	qemu-img convert --image-opts -O raw "driver=raw,offset=$start,\
size=$((2 * size)),file.driver=qcow2,file.file.driver=file,\
file.file.filename=a.qcow2" "$1"
}

# try TYPE CLUSTER_BITS REFCOUNT_BITS: no refcount block may begin at 4 GiB,
# where QEMU would put it between the streams: each covers 8 GiB.
try()
{
	qemu-img create -q -f qcow2 -o "compression_type=$1,\
cluster_size=$((1 << $2)),refcount_bits=$3,preallocation=metadata" \
		a.qcow2 "$start"
	qemu-img resize -q a.qcow2 $((start + 2 * size))
	qemu-io -f qcow2 -c "write -q -c -s $mem/text $start $size" a.qcow2
	find_streams "$2"
	say "$1: $below streams below 4 GiB, $across across it, $above above it"
	((across == 1 && below > 2 && above > 2)) ||
		fail "the streams are not on both sides"
	range "$mem/range"
	cmp -i "0:$start" "$mem/range" "$mem/init.raw"

	attach a.qcow2
	dd if="$dev" bs=1M iflag=direct,skip_bytes skip="$start" count=8 \
		of="$mem/read" status=none
	cmp "$mem/read" "$mem/range" || fail "the device reads other content"
	detach "$dev"
	diff_rounds a.qcow2 "$mem/init.raw" --offset "$start" \
		--size $((2 * size)) --cluster $((1 << $2))
	check_clean a.qcow2
	range "$mem/range"
	cmp -i "0:$start" "$mem/range" "$model" ||
		fail "QEMU reads other content"
	rm a.qcow2
}

diff_seeds=2
diff_ops=200
try zlib 16 4
try zstd 17 16
