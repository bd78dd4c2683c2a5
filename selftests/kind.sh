# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# Which images the matrix is made of. kind_choose SEED INDEX sets k_* to one
# kind of image, always the same for the same two numbers; nothing is made
# here, and no program is started. What qemu-img would refuse is not chosen.

# All that the pairs are counted over (see kind_pairs), and what it may be.
readonly kind_keys=(version cluster refbits extl2 comp prealloc lazy data backing
		    basesize snaps bitmaps size)

# rnd N: a number below N into $r.
rnd()
{
	# Knuth's, of which the upper bits are the good ones.
	rnd_state=$((rnd_state * 6364136223846793005 + 1442695040888963407))
	r=$((((rnd_state >> 33) & 0x7fffffff) % $1))
}

# What follows two numbers must not be like what follows their neighbours.
rnd_begin()
{
	local i

	rnd_state=$((($1 + 1) * 0x9e3779b97f4a7c1 + $2))
	for i in 1 2 3; do
		rnd_state=$(((rnd_state ^ (rnd_state >> 29 & 0x7ffffffff)) *
			     0x3f58476d1ce4e5b9 + i))
	done
}

percent()
{
	rnd 100
	[ "$r" -lt "$1" ]
}

# one_of WORD...: one of them into $r.
one_of()
{
	rnd $#
	r=${*:r + 1:1}
}

# each_of WORD...: one of them into $r. Of any $# kinds with the same cluster
# size that follow each other, each has another one: left to chance, many pairs
# of properties would not be found among a few hundred kinds.
each_of()
{
	local turn=$((k_index / 13)) state=$rnd_state round

	round=$((turn / $#))
	rnd_draw=$((rnd_draw + 1))
	rnd_begin $((k_seed * 100 + rnd_draw)) $((round * 13 + k_index % 13))
	rnd $#
	rnd_state=$state
	r=$(((turn + r) % $#))
	shift "$r"
	r=$1
}

# What is drawn for each kind, before the rules.
choose_words()
{
	rnd_draw=0
	k_cluster=$((512 << k_index % 13))
	# 13 and 7 have no divisor in common: all pairs in 91 kinds.
	k_refbits=$((1 << k_index % 7))
	each_of 2 3 3 3 3 3
	k_version=$r
	each_of off on
	k_extl2=$r
	each_of none zlib none zstd
	k_comp=$r
	each_of off off on
	k_lazy=$r
	each_of none none ext none raw
	k_data=$r
	each_of none raw chain qcow2 none chain
	k_backing=$r
	each_of smaller equal larger odd
	k_basesize=$r
	each_of 0 1 2 3 0 0
	k_snaps=$r
	each_of 0 1 2 0
	k_bitmaps=$r
	each_of off metadata falloc full off
	k_prealloc=$r
}

# What qemu-img would refuse.
apply_rules()
{
	[ "$k_cluster" -ge 16384 ] || k_extl2=off
	# Only of a plain image qemu-img can make one of version 2: chance makes
	# few of them.
	if [ $((k_index % 17)) = 5 ]; then
		k_version=3 k_refbits=16 k_extl2=off k_data=none k_snaps=0
		k_bitmaps=0
		[ "$k_comp" != zstd ] || k_comp=zlib
	fi
	if [ "$k_version" = 2 ]; then
		k_refbits=16 k_extl2=off k_lazy=off k_data=none k_bitmaps=0
		[ "$k_comp" != zstd ] || k_comp=zlib
	fi
	# There are neither compressed clusters nor snapshots in a data file.
	if [ "$k_data" != none ]; then
		k_comp=none k_snaps=0
	fi
	# Then the data file is the guest's content, and nothing else is.
	[ "$k_data" != raw ] || k_backing=none
	[ "$k_backing" != none ] || k_basesize=none
	# QEMU does both only with subclusters.
	[ "$k_backing" = none ] || [ "$k_extl2" = on ] || k_prealloc=off
	# Each snapshot is one more reference to a cluster, and so is each
	# compressed cluster in it: that many must fit into the refcount.
	[ "$k_refbits" != 1 ] || k_snaps=0
	[ "$k_refbits" != 2 ] || [ "$k_snaps" -le 2 ] || k_snaps=2
	if [ "$k_refbits" -lt 16 ] && [ "$k_snaps" != 0 ] && [ "$k_comp" != none ]; then
		if percent 50; then k_snaps=0; else k_comp=none; fi
	fi
}

# A few MiB, a few clusters at least.
choose_size()
{
	local unit=$k_cluster least l2_entry=8 reach

	least=$((3 * 1048576 > 7 * unit ? 3 * 1048576 : 7 * unit))
	rnd $((1 + least / unit / 2))
	k_bytes=$(((least / unit + r) * unit))
	one_of clusters sectors bytes
	k_size=$r k_extra=0
	# Clusters of 512 bytes are never cut by a sector.
	[ "$k_size" != sectors ] || rnd $((unit > 512 ? unit / 512 - 1 : 8))
	[ "$k_size" != sectors ] || k_bytes=$((k_bytes + (r + 1) * 512))
	[ "$k_size" != bytes ] || rnd $((unit / 512))
	[ "$k_size" != bytes ] || k_bytes=$((k_bytes + r * 512))
	# qemu-img rounds up to sectors: the rest is patched into the header.
	[ "$k_extl2" = off ] || l2_entry=16
	rnd 511
	[ "$k_size" != bytes ] || k_extra=$((r + 1))
	# If all that the L1 table reaches is in use, no more can be patched in.
	reach=$((unit / l2_entry))
	[ $((k_bytes % (reach * unit))) != 0 ] || k_extra=0
}

# What is done to it.
choose_use()
{
	one_of 1 2 4 8 16 24 32 32
	k_depth=$r
	one_of 0 0 25
	k_buffered=$r
	one_of 1 1 2 3
	k_rounds=$r
	rnd 2
	k_discard=$r
	# In version 2 nothing says zero where a backing file has data.
	[ "$k_version" = 3 ] || [ "$k_backing" = none ] || k_discard=0
}

# kind_choose SEED INDEX
kind_choose()
{
	k_seed=$1 k_index=$2
	rnd_begin "$1" "$2"
	choose_words
	apply_rules
	k_layers=1
	case $k_backing in
	qcow2|raw) k_layers=2 ;;
	chain) rnd 3; k_layers=$((3 + r)) ;;
	esac
	choose_size
	choose_use
}

# The kind in words, for people.
kind_words()
{
	local size=$k_cluster

	[ "$size" -lt 1048576 ] || size=$((size / 1048576))M
	[[ $size == *M || $size -lt 1024 ]] || size=$((size / 1024))K
	words="v$k_version, $size clusters, $k_refbits-bit refcounts"
	[ "$k_extl2" = off ] || words+=", extended L2"
	[ "$k_comp" = none ] || words+=", $k_comp"
	[ "$k_prealloc" = off ] || words+=", preallocation $k_prealloc"
	[ "$k_lazy" = off ] || words+=", lazy refcounts"
	[ "$k_data" = none ] || words+=", data file"
	[ "$k_data" != raw ] || words+=" (raw)"
	[ "$k_backing" = none ] ||
		words+=", $k_backing backing ($k_layers layers, $k_basesize)"
	[ "$k_snaps" = 0 ] || words+=", $k_snaps snapshots"
	[ "$k_bitmaps" = 0 ] || words+=", $k_bitmaps bitmaps"
	words+=", $k_bytes bytes"
	[ "$k_extra" = 0 ] || words+=" + $k_extra"
	words+=", depth $k_depth"
	[ "$k_buffered" = 0 ] || words+=", buffered"
	[ "$k_discard" = 0 ] || words+=", discard"
}

# kind_pairs SEED FIRST LAST: print all pairs of properties that no kind of
# these has, except those that no kind can have.
kind_pairs()
{
	local i key name

	for ((i = $2; i <= $3; i++)); do
		kind_choose "$1" "$i"
		for key in "${kind_keys[@]}"; do
			name=k_$key
			printf '%s=%s ' "$key" "${!name}"
		done
		echo
	done | awk '
	{
		for (i = 1; i <= NF; i++) {
			value[$i] = i
			for (j = i + 1; j <= NF; j++)
				seen[$i, $j] = 1
		}
	}
	# One pattern for each rule of the chooser.
	function impossible(p) {
		return p ~ /version=2.*( refbits=([1248]|32|64)$|=on$|zstd|data=(ext|raw)|bitmaps=[12])/ ||
		       p ~ /cluster=(512|1024|2048|4096|8192) .*extl2=on/ ||
		       p ~ /comp=z.*data=(ext|raw)/ ||
		       p ~ /data=raw (backing=(qcow2|raw|chain)|basesize=[sleo])/ ||
		       p ~ /data=(ext|raw) snaps=[123]/ ||
		       p ~ /refbits=1 snaps=[123]/ || p == "refbits=2 snaps=3" ||
		       p ~ /backing=none basesize=[sleo]/ ||
		       p ~ /backing=(qcow2|raw|chain) basesize=none/
	}
	END {
		for (a in value)
			for (b in value) {
				if (value[a] >= value[b] || seen[a, b])
					continue
				if (!impossible(a " " b))
					print a, b
			}
	}' | sort
}
