# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# The matrix: what is done to one kind of image. Sourced after lib.sh.

# shellcheck source=kind.sh
. "$test_dir/kind.sh"
# shellcheck source=kind_make.sh
. "$test_dir/kind_make.sh"
# shellcheck source=kind_window.sh
. "$test_dir/kind_window.sh"

# Operations in one attach.
kind_ops=${KIND_OPS:-240}

# kind_diff ROUND [OPTION]...: random I/O to $dev as the kind wants it.
kind_diff()
{
	local round=$1

	shift
	[ "$k_discard" = 0 ] || set -- --discard "$@"
	"$bin/diff_io" --dev "$dev" --cluster "$k_cluster" --depth "$k_depth" \
		--seed $((k_seed * 100000 + k_index * 10 + round)) \
		--buffered $((round == 1 ? k_buffered : 0)) \
		--ops "$kind_ops" "$@"
}

# files_same [OPTION]...: no file has changed since it was made.
files_same()
{
	diff -rq "$@" "$before" . || fail "files have changed"
}

# content_is RAW: what QEMU reads in the image.
content_is()
{
	to_raw a.qcow2 "$mem/after.raw"
	cmp "$mem/after.raw" "$1" || fail "QEMU reads other content"
}

# The device's content when only read, and nothing may be written by that.
test_read()
{
	attach -r a.qcow2
	"$bin/diff_io" --dev "$dev" --read-only --cluster "$k_cluster" \
		--depth "$k_depth" --seed "$k_index" --ops 40 \
		--init "$raws/init.raw"
	detach "$dev"
	files_same
}

# Who has written without keeping the bitmaps must say so in the image: to a
# program that trusts them a backup would lack what was written.
bitmaps_in_use()
{
	local info line flags='' name usable=''

	info=$(qemu-img info a.qcow2)
	while read -r line; do
		case $line in
		"flags:") flags='' ;;
		*"]: in-use") flags+=in-use ;;
		"name: "*)
			name=${line#name: }
			[ "$flags" = in-use ] || usable+=" $name"
			;;
		esac
	done <<<"${info##*bitmaps:}"
	[ -z "$usable" ] || fail "after writes QEMU would trust the bitmap$usable"
}

# raw_of SNAPSHOT: the file with what it contains, into $r.
raw_of()
{
	r=$mem/$1.raw
	[ -e "$r" ] || r=$raws/$1.raw
}

# test_result [BYTES]: what is in the image at the end, and around it. Of its
# snapshots only that many bytes are known.
test_result()
{
	local name

	check_clean a.qcow2
	content_is "$model"
	for name in "${snaps[@]}"; do
		to_raw a.qcow2 "$mem/after.raw" -l "snapshot.name=$name"
		raw_of "$name"
		cmp -n "${1-$k_bytes}" "$mem/after.raw" "$r" ||
			fail "snapshot $name has changed"
	done
	[ ${#bits[@]} = 0 ] || bitmaps_in_use
	[ "$k_data" != raw ] ||
		cmp -n "$k_bytes" a.data "$model" ||
		fail "the raw data file is not what the guest sees"
}

# The image, what is in it ($raws), and a copy of everything ($before). With
# KINDS they were made outside, by prepare_kinds, where that takes a tenth of
# the time; only what is preallocated is then no longer told from holes.
make_kind()
{
	local i

	raws=$mem/raws before=$disk/before
	if [ -n "${KINDS-}" ]; then
		raws=$KINDS/$k_index/raws before=$KINDS/$k_index/files
		cp -r --sparse=always "$before" files
		cd files || exit
	else
		make_patterns "$SHARED"
		kind_make "$disk/files" "$raws"
		cp -r --sparse=always . "$before"
	fi
	snaps=() bits=()
	for ((i = 1; i <= k_snaps; i++)); do
		snaps+=("s$i")
	done
	for ((i = 0; i < k_bitmaps; i++)); do
		bits+=("b$i")
	done
}

test_io()
{
	local round init=$raws/init.raw

	test_read
	for ((round = 1; round <= k_rounds; round++)); do
		attach a.qcow2
		model=$mem/model.$((round % 2))
		kind_diff "$round" --init "$init" --model "$model"
		detach "$dev"
		init=$model
	done
	test_result
	files_same -x a.qcow2 -x a.data
}

# test_kind MODE SEED INDEX: MODE is io or window. To repeat nothing but that,
# give the word that is said first to run_tests.
test_kind()
{
	kind_choose "$2" "$3"
	kind_words
	say "kind:$1:$2:$3: $words"
	make_kind
	"test_$1"
	cd "$disk" || exit
	rm -rf files before "${mem:?}"/*
}

# test_kinds MODE SEED INDEX...
test_kinds()
{
	local index

	for index in "${@:3}"; do
		test_kind "$1" "$2" "$index"
	done
}
