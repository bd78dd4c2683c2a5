# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Everything at once, at random times: for tests that have sourced lib.sh and
# leak.sh.
#
# Each of three devices has a keeper. It attaches the device, does random I/O
# to the first part of it against a model, and detaches it: by force with other
# I/O under way behind that part, or when it is closed, or plainly. All the
# while two operators do to any device whatever an operator can: windows with
# snapshots and resizes, freeze and thaw, all kinds of detach but by force,
# SIGKILL of qcow2ctl and of qemu-img, removal of the module. What they try may
# be refused, since each is in the way of the others; but verified I/O never
# fails, and nothing ever hangs.
#
# A fourth device stays attached for all the time, and with it the module. fio
# writes to it and verifies what it has written; operators do nothing to it but
# windows.

# shellcheck disable=SC2034,SC2154 # for those who source it, from lib.sh

readonly stress_first=10 stress_devices=3 stress_operators=2
readonly model_size=8M scratch_offset=8M scratch_size=4M
readonly fio_dev=/dev/qcow2$((stress_first + stress_devices)) fio_image=$disk/fio.qcow2
stress_dir=$disk

# done_one WHAT: for the statistics.
done_one()
{
	printf '%s\n' "$1" >>"$mem/done"
}

# pause MILLISECONDS: without starting a program.
pause()
{
	local ms=$1

	printf -v ms '%d.%03d' $((ms / 1000)) $((ms % 1000))
	read -r -t "$ms" -u "$never" || :
}

stress_goes_on()
{
	[ ! -e "$mem/stop" ] && [ "$SECONDS" -lt "$stress_end" ]
}

gone_from()
{
	[ ! -e "/sys/block/${1##*/}" ]
}

# Anything that a device does in a moment, if nothing is wrong with it.
await()
{
	local i

	for ((i = 0; i < 600; i++)); do
		! "$@" || return 0
		pause 100
	done
	fail "a minute is over: $*"
}

# attempt COMMAND...: may be refused, in words; must not die. Each keeper and each
# operator has a file $answer.
attempt()
{
	local status=0

	"$@" >"$answer" 2>&1 || status=$?
	[ "$status" -lt 126 ] || fail "status $status of $*: $(<"$answer")"
	return "$status"
}

# The keeper's own commands must succeed; but a qemu-img that an operator's
# killed qcow2ctl has left behind may have the image for a moment.
insist()
{
	local i

	for ((i = 0; i < 60; i++)); do
		! attempt "$@" || return 0
		[[ $(<"$answer") =~ (in use|locked|lock) ]] || break
		pause 200
	done
	fail "$*: $(<"$answer")"
}

### Keepers

stress_image()
{
	local raw=$SHARED/content.$model_size

	content "$model_size"
	case $1 in
	0)
		qemu-img create -q -f qcow2 0.qcow2 16M
		truncate -s "$model_size" "$mem/model.0"
		;;
	1)
		qemu-img convert -f raw -O qcow2 "$raw" base1.qcow2
		qemu-img create -q -f qcow2 -b base1.qcow2 -F qcow2 1.qcow2 16M
		cp "$raw" "$mem/model.1"
		;;
	2)
		qemu-img convert -c -f raw -O qcow2 "$raw" base2.qcow2
		qemu-img create -q -f qcow2 -b base2.qcow2 -F qcow2 -o \
			"cluster_size=32k,extended_l2=on,lazy_refcounts=on" \
			2.qcow2 16M
		cp "$raw" "$mem/model.2"
		;;
	esac
}

# QEMU must find in the image what the model has.
stress_verdict()
{
	local nr=$1 i status

	for ((i = 0; i < 60; i++)); do
		status=0
		attempt qemu-img check -f qcow2 "$stress_dir/$nr.qcow2" || status=$?
		[[ $(<"$answer") == *lock* ]] || break
		pause 200
	done
	# Who kills qemu-img may find clusters that nothing refers to.
	[ "$status" = 0 ] || { [ "$status" = 3 ] && [ -e "$mem/killed.$nr" ]; } ||
		fail "qemu-img check: status $status: $(<"$answer")"
	insist qemu-img convert -f qcow2 -O raw "$stress_dir/$nr.qcow2" "$mem/raw.$nr"
	cmp -n "$(stat -c %s "$mem/model.$nr")" "$mem/raw.$nr" "$mem/model.$nr" ||
		fail "$nr: QEMU reads other content"
	rm "$mem/raw.$nr"
}

verified_io()
{
	local nr=$1 dev=$2 depths=(1 4 16 32) buffered=(0 0 25)

	"$bin/diff_io" --dev "$dev" --seed $((RANDOM * 32768 + RANDOM)) \
		--ops $((50 + RANDOM % 200)) --depth "${depths[RANDOM % 4]}" \
		--buffered "${buffered[RANDOM % 3]}" --size "$model_size" \
		--init "$mem/model.$nr" --model "$mem/next.$nr" \
		>"$mem/io.$nr" 2>&1 || fail "$nr: I/O: $(<"$mem/io.$nr")"
	mv "$mem/next.$nr" "$mem/model.$nr"
	done_one verified-io
}

# All that is under way must end, with an error or not, and the device go.
force_under_load()
{
	local dev=$1 load

	"$bin/diff_io" --dev "$dev" --seed $((RANDOM + 1)) --ops 4000 --depth 32 \
		--offset "$scratch_offset" --size "$scratch_size" >/dev/null 2>&1 &
	load=$!
	pause $((RANDOM % 500))
	qcow2ctl detach -f "$dev" ||
		gone_from "$dev" || fail "$dev cannot be detached by force"
	wait "$load" || :
}

keeper()
{
	local nr=$1 dev=/dev/qcow2$((stress_first + $1)) rounds fd

	RANDOM=$((stress_seed + nr))
	answer=$mem/answer.keeper.$nr
	while stress_goes_on; do
		if gone_from "$dev"; then
			insist qcow2ctl attach -i "${dev#/dev/qcow2}" \
				"$stress_dir/$nr.qcow2"
			done_one attach
		fi
		# An operator may have been faster.
		# Not for writing: bash would make a file where no device is.
		{ exec {fd}<"$dev"; } 2>/dev/null || continue
		for ((rounds = RANDOM % 3; rounds >= 0; rounds--)); do
			verified_io "$nr" "$dev"
		done
		case $((RANDOM % 4)) in
		0)
			force_under_load "$dev"
			done_one detach-force
			exec {fd}>&-
			await gone_from "$dev"
			;;
		1)
			insist qcow2ctl detach -d "$dev"
			exec {fd}>&-
			await gone_from "$dev"
			done_one detach-deferred
			;;
		*)
			exec {fd}>&-
			! attempt qcow2ctl detach "$dev" || done_one detach
			;;
		esac
		! gone_from "$dev" || [ $((RANDOM % 2)) = 0 ] || stress_verdict "$nr"
	done
}

### fio

# fio_verified FILE OPTION...: write what $fio_seed says and verify it, or with
# --verify_only do just that.
fio_verified()
{
	local file=$1

	shift
	fio --name=verified --filename="$file" --rw=randwrite --bs=4k \
		--size="$scratch_size" --iodepth=16 --randseed="$fio_seed" \
		--verify=crc32c --verify_fatal=1 --verify_state_save=0 "$@" \
		>"$mem/fio" 2>&1 || fail "fio: $(<"$mem/fio")"
}

fio_round()
{
	fio_seed=$((stress_seed + $1))
	fio_verified "$fio_dev" --ioengine=libaio --direct=1
	done_one fio
}

fio_keeper()
{
	local rounds=0

	while stress_goes_on; do
		rounds=$((rounds + 1))
		fio_round "$rounds"
	done
}

# QEMU, too, must find what fio has written last.
fio_verdict()
{
	fio_round 0
	qcow2ctl detach "$fio_dev"
	check_clean "$fio_image"
	to_raw "$fio_image" "$mem/raw.fio"
	fio_verified "$mem/raw.fio" --verify_only
	rm "$mem/raw.fio" "$fio_image"
}

### Operators

# killed MILLISECONDS COMMAND...: with SIGKILL, within that time.
killed()
{
	local ms=$((RANDOM % $1)) pid

	shift
	"$@" >/dev/null 2>&1 &
	pid=$!
	pause "$ms"
	kill -KILL "$pid" 2>/dev/null || :
	wait "$pid" 2>/dev/null || :
}

frozen()
{
	local state=

	{ read -r state <"/sys/block/${1##*/}/qcow2/state"; } 2>/dev/null || :
	[ "$state" = frozen ]
}

# Whoever has opened a window, or killed its owner, sees to it that it ends.
not_frozen()
{
	! frozen "$1" || attempt qcow2ctl thaw "$1" || ! frozen "$1"
}

# window WHAT COMMAND...: if it succeeds it counts.
window()
{
	local what=$1

	shift
	! attempt qcow2ctl window "$@" || done_one "$what"
}

kill_qemu_img()
{
	local dev=$1 nr=$2 image=$stress_dir/$2.qcow2 commands

	: >"$mem/killed.$nr"
	commands=(
		"qemu-img snapshot -c k $image"
		"qemu-img snapshot -d k $image"
		"qemu-img resize -q $image +64k"
	)
	printf -v ms '0.%03d' $((RANDOM % 200))
	# What it leaves is mended before anybody else sees it.
	window qemu-img-killed "$dev" -- bash -c "
		${commands[RANDOM % 3]} &
		read -r -t $ms <>$mem/never
		kill -KILL \$!
		wait
		qemu-img check -q -r all $image
		:"
}

# The first ones of all that an operator does leave the content alone.
readonly window_kinds=11 all_kinds=14

# operate DEVICE IMAGE KINDS: one of so many.
operate()
{
	local dev=$1 image=$2

	case $((RANDOM % $3)) in
	0|1)
		window snapshot-create "$dev" -- \
			qemu-img snapshot -c "s$((RANDOM % 4))" "$image"
		;;
	2|3)
		window snapshot-delete "$dev" -- \
			qemu-img snapshot -d "s$((RANDOM % 4))" "$image"
		;;
	4|5)
		if attempt qcow2ctl freeze "$dev"; then
			pause $((RANDOM % 300))
			! attempt qcow2ctl thaw "$dev" || done_one freeze-thaw
		fi
		await not_frozen "$dev"
		;;
	6|7)
		killed 400 qcow2ctl window "$dev" -- qemu-img snapshot -c o "$image"
		pause $((RANDOM % 100))
		! frozen "$dev" || done_one frozen-by-a-dead
		await not_frozen "$dev"
		done_one window-killed
		;;
	8)
		killed 100 qcow2ctl freeze "$dev"
		killed 100 qcow2ctl thaw "$dev"
		await not_frozen "$dev"
		done_one freeze-killed
		;;
	9)
		! attempt rmmod blkqcow2 || fail "the module goes, with devices"
		done_one rmmod-refused
		;;
	10)
		attempt qcow2ctl info "$dev" || :
		killed 50 qcow2ctl list
		;;
	11)
		window resize "$dev" -- \
			qemu-img resize -q --shrink "$image" "$((16 + RANDOM % 16))M"
		;;
	12)
		! attempt qcow2ctl detach "$dev" || done_one detach-by-operator
		;;
	13)
		! attempt qcow2ctl detach -d "$dev" || done_one deferred-by-operator
		;;
	esac
}

operator()
{
	local nr lock

	RANDOM=$((stress_seed + 100 + $1))
	answer=$mem/answer.operator.$1
	while stress_goes_on; do
		nr=$((RANDOM % (stress_devices + 1)))
		if [ "$nr" = "$stress_devices" ]; then
			operate "$fio_dev" "$fio_image" "$window_kinds"
			pause $((RANDOM % 150))
			continue
		fi
		exec {lock}>"$mem/lock.$nr"
		# Nobody may thaw between the death of a qemu-img and the repair.
		if [ $((RANDOM % 8)) = 0 ]; then
			flock "$lock"
			kill_qemu_img "/dev/qcow2$((stress_first + nr))" "$nr"
		else
			flock -s "$lock"
			operate "/dev/qcow2$((stress_first + nr))" \
				"$stress_dir/$nr.qcow2" "$all_kinds"
		fi
		exec {lock}>&-
		pause $((RANDOM % 150))
	done
}

### All of them

stress_setup()
{
	local i

	stress_seed=$1
	answer=$mem/answer
	mkfifo "$mem/never"
	exec {never}<>"$mem/never"
	for ((i = 0; i < stress_devices; i++)); do
		stress_image "$i"
	done
}

# stress SECONDS: into $attached how many times a device was attached, into
# $summary all that was done.
stress()
{
	local pids=() pid i what
	local -A counts=()

	stress_end=$((SECONDS + $1))
	rm -f "$mem/stop"
	: >"$mem/done"
	qemu-img create -q -f qcow2 "$fio_image" 16M
	qcow2ctl attach -i "${fio_dev#/dev/qcow2}" "$fio_image" >/dev/null
	fio_keeper &
	pids+=($!)
	for ((i = 0; i < stress_operators; i++)); do
		operator "$i" &
		pids+=($!)
	done
	for ((i = 0; i < stress_devices; i++)); do
		keeper "$i" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait -n || { : >"$mem/stop"; fail "see above"; }
	done
	for ((i = 0; i < stress_devices; i++)); do
		dev=/dev/qcow2$((stress_first + i))
		gone_from "$dev" || insist qcow2ctl detach "$dev"
		stress_verdict "$i"
	done
	fio_verdict
	while read -r what; do
		counts[$what]=$((${counts[$what]-0} + 1))
	done <"$mem/done"
	attached=${counts[attach]}
	summary=
	for what in "${!counts[@]}"; do
		summary+=" $what ${counts[$what]}"
	done
	stress_seed=$((stress_seed + 1000))
}
