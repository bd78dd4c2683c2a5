# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# The matrix's second mode: two windows in the middle of running I/O, in which
# qemu-img does one thing each to the image. w_* is what the image is by then.

# What few images allow gets more of those that do.
readonly window_actions=(create create apply apply apply apply delete delete
			 grow shrink shrink rebase rebase swap swap detach
			 commit commit downgrade downgrade downgrade downgrade
			 downgrade downgrade upgrade upgrade lazy add merge
			 remove)

# allowed ACTION: would qemu-img do this, after writes that do not keep the
# bitmaps?
allowed()
{
	case $1 in
	create)
		# One more reference to everything must fit in.
		[ "$k_data" = none ] && [ "$k_refbits" != 1 ] && [ "$w_sized" = 0 ] &&
		[[ $k_refbits -ge 16 || $k_comp = none ]] &&
		[[ $k_refbits != 2 || ${#w_snaps[@]} -lt 2 ]]
		;;
	apply)
		[ ${#w_known[@]} != 0 ] && [ ${#w_bits[@]} = 0 ] &&
		[ "$w_sized" = 0 ] &&
		[[ $k_refbits != 2 || ${#w_snaps[@]} -lt 2 ]]
		;;
	delete)
		[ ${#w_snaps[@]} != 0 ]
		;;
	grow|shrink)
		# What the device has after that is known if it was not changed. Where
		# it was cut within a cluster, QEMU shows the rest of that again.
		[[ $1 = shrink || $w_bytes -ge $k_bytes ]] &&
		[ ${#w_bits[@]} = 0 ] && [ "$w_content" = 0 ] &&
		[[ $w_version = 3 || ${#w_snaps[@]} = 0 ]] &&
		# What is new must be hidden from a larger base by zero clusters.
		[[ $1 = shrink || $w_version = 3 || $w_backing = 0 ]]
		;;
	rebase|swap|detach)
		[ "$w_backing" = 1 ]
		;;
	commit)
		# A base with a base of its own, of version 2, cannot grow.
		[ "$w_backing" = 1 ] &&
		[[ $k_backing != chain ||
		   ($w_sized = 0 && ($k_basesize = equal || $k_basesize = larger)) ]]
		;;
	downgrade)
		# With snapshots, QEMU 7.2 marks zero clusters that several of them
		# share as used once.
		[ ${#w_snaps[@]} = 0 ] && [ "$w_version" = 3 ] && [ "$k_refbits" = 16 ] &&
		[ "$k_comp" != zstd ] && [ "$k_extl2" = off ] &&
		[ "$k_data" = none ] && [ ${#w_bits[@]} = 0 ]
		;;
	upgrade)
		[ "$w_version" = 2 ]
		;;
	lazy|add|merge)
		[ "$w_version" = 3 ]
		;;
	remove)
		[ ${#w_bits[@]} != 0 ]
		;;
	esac
}

# drop LIST WORD: let the list no longer have the word.
drop()
{
	local -n list=$1
	local word left=()

	for word in "${list[@]}"; do
		[ "$word" = "$2" ] || left+=("$word")
	done
	list=("${left[@]}")
}

# take_one LIST: one of it into $r, and it is no longer in the list.
take_one()
{
	local -n words=$1

	one_of "${words[@]}"
	drop "$1" "$r"
}

# Bring the size to that many bytes. It is no longer what the header's patch
# made of it.
resize_to()
{
	w_bytes=$1 w_sized=1
	[ "$w_bytes" -ge "$w_least" ] || w_least=$w_bytes
	w_command="qemu-img resize -q --shrink -f qcow2 a.qcow2 $w_bytes"
}

# plan_window NUMBER: choose an action, $w_action: w_command for the shell, and
# in $w_model what diff_io must know of it, if no I/O may be in flight.
plan_window()
{
	local number=$1 action may=()

	for action in "${window_actions[@]}"; do
		! allowed "$action" || may+=("$action")
	done
	[ ${#may[@]} != 0 ] || may=(nothing)
	one_of "${may[@]}"
	w_action=$r
	w_model='' w_command=:
	case $w_action in
	create)
		w_content=1
		w_snaps+=("w$number")
		w_known+=("w$number")
		w_model=",save=$mem/w$number.raw"
		w_command="qemu-img snapshot -c w$number a.qcow2"
		;;
	apply)
		w_content=1
		one_of "${w_known[@]}"
		w_command="qemu-img snapshot -a $r a.qcow2"
		# One that is made in a window is not there yet.
		case $r in
		s*) w_model=",load=$raws/$r.raw" ;;
		*) w_model=",load=$mem/$r.raw" ;;
		esac
		;;
	delete)
		take_one w_snaps
		w_command="qemu-img snapshot -d $r a.qcow2"
		drop w_known "$r"
		;;
	grow)
		rnd $((w_bytes / 1024))
		resize_to $((w_bytes + (r + 1) * 512))
		;;
	shrink)
		rnd $((w_bytes / 1024 / 2))
		resize_to $((w_bytes - (r + 1) * 512))
		;;
	rebase)
		# Onto something else: QEMU copies what would change.
		one_of smaller equal larger odd
		base_size "$r" "$w_bytes"
		raw_base "r$number.raw" "$r"
		w_base=r$number.raw
		w_format=raw w_known=()
		w_command="qemu-img rebase -f qcow2 -b $w_base -F raw a.qcow2"
		;;
	swap)
		# Onto the same in another file.
		w_command="qemu-img convert -f $w_format -O raw $w_base u$number.raw"
		w_base=u$number.raw w_format=raw
		w_command+="
			qemu-img rebase -u -f qcow2 -b $w_base -F raw a.qcow2"
		;;
	detach)
		w_backing=0 w_known=()
		w_command='qemu-img rebase -f qcow2 -b "" a.qcow2'
		;;
	commit)
		w_changed+=(-x "$w_base" -x b1.data) w_known=()
		w_command="qemu-img commit -q -f qcow2 a.qcow2"
		;;
	downgrade)
		w_version=2
		[ "$w_backing" = 0 ] || k_discard=0
		w_command="qemu-img amend -q -f qcow2 -o compat=0.10,lazy_refcounts=off a.qcow2"
		;;
	upgrade)
		w_version=3
		w_command="qemu-img amend -q -f qcow2 -o compat=1.1 a.qcow2"
		;;
	lazy)
		case $w_lazy in on) w_lazy=off ;; off) w_lazy=on ;; esac
		w_command="qemu-img amend -q -f qcow2 -o lazy_refcounts=$w_lazy a.qcow2"
		;;
	add)
		w_bits+=("w$number")
		w_command="qemu-img bitmap --add -f qcow2 a.qcow2 w$number"
		;;
	merge)
		w_bits+=("w$number" "m$number")
		w_command="qemu-img bitmap --add -f qcow2 a.qcow2 w$number
			qemu-img bitmap --add --merge w$number -f qcow2 a.qcow2 m$number"
		;;
	remove)
		take_one w_bits
		w_command="qemu-img bitmap --remove -f qcow2 a.qcow2 $r"
		;;
	esac
}

# plan_windows: all of them, with the options for diff_io in $windows. Where
# nothing but the image changes, I/O may be in flight when it is frozen.
plan_windows()
{
	local number at script

	w_version=$k_version w_lazy=$k_lazy w_bytes=$k_bytes w_least=$k_bytes
	w_sized=0 w_content=0 w_backing=0
	w_snaps=("${snaps[@]}") w_known=("${snaps[@]}") w_bits=("${bits[@]}")
	w_changed=() windows=() w_words=''
	w_format=qcow2 w_base=b1.qcow2
	[ ! -e b1.raw ] || w_format=raw w_base=b1.raw
	[ "$k_backing" = none ] || w_backing=1
	# Not what the image was made with.
	rnd_begin $((k_seed + 2000003)) "$k_index"
	for number in 1 2; do
		plan_window "$number"
		w_words+=" $w_action"
		at=$((kind_ops * number / 3))
		script=$mem/window.$number
		printf '%s\n' "set -e" "cd $PWD" \
			"qemu-img check -q -f qcow2 a.qcow2" "$w_command" >"$script"
		if [ -z "$w_model" ] && percent 50; then
			windows+=(--exec-at "$at" "qcow2ctl window $dev -- sh $script")
		else
			# If it fails, I/O that waits for the thaw must not hide that.
			windows+=(--window-at "$at$w_model" "
				sh $script
				failed=\$?
				qcow2ctl thaw $dev && exit \$failed")
		fi
	done
	say "windows:$w_words"
}

test_window()
{
	attach a.qcow2
	plan_windows
	model=$mem/model.1
	kind_diff 1 --init "$raws/init.raw" --size "$w_least" --model "$model" \
		"${windows[@]}"
	if [ "$w_sized" = 1 ]; then
		read -r sectors <"/sys/block/${dev#/dev/}/size"
		[ $((sectors * 512)) = "$w_bytes" ] ||
			fail "$dev has $sectors sectors, not $w_bytes bytes"
		# Whether it was there before or not, it is zero now.
		truncate -s "$w_bytes" "$model"
		kind_diff 2 --init "$model" --model "$mem/model.0"
		model=$mem/model.0
	fi
	# A write after the last window, which may have come after all others.
	dd if="$dev" of="$dev" bs=4k count=1 iflag=direct oflag=direct status=none
	detach "$dev"
	snaps=("${w_known[@]}") bits=("${w_bits[@]}")
	k_bytes=$w_bytes
	test_result "$w_least"
	files_same -x a.qcow2 -x a.data -x 'u[12].raw' -x 'r[12].raw' \
		"${w_changed[@]}"
}
