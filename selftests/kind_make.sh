# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Makes the image that kind_choose has chosen (k_*) with qemu-img and qemu-io
# alone, in the guest or outside. Needs kind.sh, $bin, and fail.
#
# What it contains comes from a few files with sectors of which no two are
# equal, so that one in a wrong place is noticed.

readonly pattern_bytes=1048576 nr_patterns=4

# make_patterns DIRECTORY: those files, once for all kinds.
make_patterns()
{
	local i

	patterns=$1
	for ((i = 0; i < nr_patterns; i++)); do
		[ -e "$patterns/pattern.$i" ] ||
			"$bin/diff_io" --make "$patterns/pattern.$i" \
				--size "$pattern_bytes" --seed $((100 + i))
	done
}

# qemu-io says what it does, at length.
run_io()
{
	local out

	out=$(qemu-io -f qcow2 "$@" 2>&1) || {
		printf '%s\n' "${out%%$'\n'*}"
		fail "qemu-io $*"
	}
}

# write_some FIRST LENGTH: a command that writes something somewhere in there.
write_some()
{
	local sectors=$(($2 / 512)) first len

	rnd "$sectors"
	first=$r
	rnd $((sectors - first))
	len=$((r + 1 > pattern_bytes / 512 ? pattern_bytes / 512 : r + 1))
	rnd $nr_patterns
	io+=(-c "write -q -s $patterns/pattern.$r $(($1 + first * 512)) $((len * 512))")
}

# compress_some FIRST LENGTH: the first clusters of that. What is allocated
# already, QEMU does not compress.
compress_some()
{
	local clusters=$(($2 / cluster)) out=compressed

	[ "$cut" = 0 ] || out=last
	rnd "$clusters"
	clusters=$((r + 1))
	[ "$clusters" -le 40 ] || clusters=40
	rnd $nr_patterns
	local -n list=$out
	list+=(-c "discard -q $1 $((clusters * cluster))"
	       -c "write -q -c -s $patterns/pattern.$r $1 $((clusters * cluster))")
}

# fill_slot FIRST LENGTH: whole clusters, of which one thing is made.
fill_slot()
{
	local unmap=''

	if [ "$comp" != none ] && percent 40; then
		compress_some "$1" "$2"
		return
	fi
	percent 50 || unmap=-u
	rnd 8
	case $r in
	0|1|2|3) write_some "$1" "$2" ;;
	4) io+=(-c "write -q -P $((1 + k_index % 255)) $1 $2") ;;
	5) io+=(-c "write -q -z $unmap $1 $2") ;;
	6)
		write_some "$1" "$2"
		io+=(-c "write -q -z $unmap $(($1 + 512)) $(($2 - 512))")
		;;
	7) ;;
	esac
}

# fill FILE BYTES CLUSTER COMP CUT: content of all sorts in one go. With CUT the
# compressed clusters are the end of the file, which is not filled up to a
# whole cluster, nor to a whole sector.
fill()
{
	local file=$1 bytes=$2 cluster=$3 comp=$4 cut=$5 slot at i
	local io=() compressed=() last=()

	slot=$((bytes / 8 / cluster * cluster))
	[ "$slot" -gt 0 ] || slot=$cluster
	for ((at = 0; at + slot <= bytes; at += slot)); do
		fill_slot "$at" "$slot"
	done
	# Beside whole clusters, over compressed ones too; and at the end.
	if [ "$cut" = 0 ]; then
		for i in 1 2 3; do
			rnd $((bytes / 2 / 512))
			write_some $((r * 512)) $((bytes / 4))
		done
	fi
	[ "$at" -ge "$bytes" ] || write_some "$at" $((bytes - at))
	io=("${compressed[@]}" "${io[@]}" "${last[@]}")
	[ ${#io[@]} = 0 ] || run_io "${io[@]}" "$file"
}

# raw_base FILE BYTES
raw_base()
{
	"$bin/diff_io" --make "$1" --size "$2" --seed $((k_index * 8 + $2 % 8))
}

# base_size WORD BYTES: the size of what lies under BYTES, into $r.
base_size()
{
	case $1 in
	smaller) r=$(($2 * 3 / 5)) ;;
	equal) r=$2 ;;
	larger) r=$(($2 * 7 / 5)) ;;
	odd) rnd $(($2 * 2 / 5)) ; r=$(($2 * 4 / 5 + r)) ;;
	esac
}

# qcow2_base FILE BYTES [-b ... -F ...]: another geometry than what lies on it.
qcow2_base()
{
	local file=$1 bytes=$2 cluster options comp=none type=zlib

	shift 2
	rnd 13
	# Large clusters only where there are several of them.
	cluster=$((512 << r))
	[ $((cluster * 4)) -le "$bytes" ] || cluster=65536
	options=cluster_size=$cluster
	if percent 20; then
		options+=,compat=0.10
	else
		rnd 7
		options+=,refcount_bits=$((1 << r))
		if [ "$cluster" -ge 16384 ] && percent 35; then
			options+=,extended_l2=on
		fi
		percent 50 || type=zstd
		options+=,compression_type=$type
		if percent 15; then
			options+=,data_file=${file%.qcow2}.data
			type=none
		fi
	fi
	percent 50 || comp=$type
	qemu-img create -q -f qcow2 -o "$options" "$@" "$file" "$bytes"
	fill "$file" "$bytes" "$cluster" "$comp" 0
}

# The backing files, from the last one up; then $below is what to say to
# qemu-img create for the next one.
make_bases()
{
	local i bytes sizes=() word=$k_basesize file raw

	bytes=$k_bytes
	for ((i = 1; i < k_layers; i++)); do
		base_size "$word" "$bytes"
		bytes=$r
		sizes[i]=$bytes
		one_of smaller equal larger odd
		word=$r
	done
	below=()
	for ((i = k_layers - 1; i > 0; i--)); do
		raw=0
		[ "$k_backing" != raw ] || raw=1
		[ "$k_backing" != chain ] || [ ${#below[@]} != 0 ] ||
			! percent 50 || raw=1
		if [ "$raw" = 1 ]; then
			file=b$i.raw
			raw_base "$file" "${sizes[i]}"
			below=(-b "$file" -F raw)
		else
			file=b$i.qcow2
			qcow2_base "$file" $((sizes[i] / 512 * 512)) "${below[@]}"
			below=(-b "$file" -F qcow2)
		fi
	done
}

create_options()
{
	options=cluster_size=$k_cluster,preallocation=$k_prealloc
	if [ "$k_version" = 2 ]; then
		options+=,compat=0.10
		return
	fi
	options+=,refcount_bits=$k_refbits,lazy_refcounts=$k_lazy,extended_l2=$k_extl2
	[ "$k_comp" = none ] || options+=,compression_type=$k_comp
	[ "$k_data" = none ] || options+=,data_file=a.data
	[ "$k_data" != raw ] || options+=,data_file_raw=on
}

# patch FILE OFFSET HEX: write these bytes.
patch()
{
	local hex=$3 bytes=''

	while [ -n "$hex" ]; do
		bytes+=\\x${hex:0:2}
		hex=${hex:2}
	done
	# shellcheck disable=SC2059
	printf "$bytes" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# In the directory that is the current one: a.qcow2, with a.data if it has a
# data file; its backing files b1.qcow2, b2.qcow2, ..., the last one perhaps
# b1.raw or b2.raw ...
make_files()
{
	local i options cut=0 comp=$k_comp

	# Not what was chosen: changes there must not change this.
	rnd_begin $((k_seed + 1000003)) "$k_index"
	make_bases
	create_options
	qemu-img create -q -f qcow2 -o "$options" "${below[@]}" a.qcow2 "$k_bytes"
	for ((i = 1; i <= k_snaps; i++)); do
		fill a.qcow2 "$k_bytes" "$k_cluster" "$comp" 0
		# Nor can it discard, if that would show the backing file.
		[ "$k_version" = 3 ] || [ "$k_backing" = none ] || comp=none
		qemu-img snapshot -c "s$i" a.qcow2
	done
	for ((i = 0; i < k_bitmaps; i++)); do
		qemu-img bitmap --add -g $((k_cluster > 4096 ? k_cluster : 4096)) \
			a.qcow2 "b$i"
	done
	[ "$k_snaps" != 0 ] || [ "$k_bitmaps" != 0 ] || cut=$((k_index / 2 % 2))
	fill a.qcow2 "$k_bytes" "$k_cluster" "$comp" "$cut"
	if [ "$k_extra" != 0 ]; then
		printf -v i '%016x' $((k_bytes + k_extra))
		patch a.qcow2 24 "$i"
	fi
}

# kind_make FILES CONTENTS: the files in one directory, and in another what QEMU
# reads in them: init.raw, and s1.raw, ... for the snapshots.
kind_make()
{
	local name

	mkdir -p "$1" "$2"
	# QEMU looks for a data file from where it is run, qcow2ctl from where
	# the image is: here both are the same.
	cd "$1" || exit
	make_files
	qemu-img convert -f qcow2 -O raw a.qcow2 "$2/init.raw"
	for ((name = 1; name <= k_snaps; name++)); do
		qemu-img convert -l "snapshot.name=s$name" -f qcow2 -O raw \
			a.qcow2 "$2/s$name.raw"
	done
}
