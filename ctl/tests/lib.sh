# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests of qcow2ctl share. Sourced in the scratch directory, with
# QCOW2CTL as the first argument.

# shellcheck disable=SC2034 # for the tests
ctl=$1
nr=0
failed=0
export FAKE_STATE=$PWD/state LC_ALL=C.UTF-8
unset FAKE_FAIL FAKE_DELAY FAKE_NO_NODE

# All commands, as --help lists them.
commands()
{
	"$1" --help | sed -n '/^Commands:/,/^$/s/^ \([a-z]*\) .*/\1/p'
}

# options QCOW2CTL [COMMAND]: those that --help lists, in lines "-x --long ARG".
options()
{
	"$@" --help | sed -n '/^Options/,/^$/s/^ \(-.\), \(--[a-z-]*\)\( [A-Z][^ ]*\)\{0,1\}.*/\1 \2\3/p'
}

# run STATUS COMMAND...: what it prints is in $out and $err
run()
{
	local want=$1 got

	shift
	: >state.log
	"$@" >out 2>err
	got=$?
	out=$(cat out)
	err=$(cat err)
	# shellcheck disable=SC2034 # for the tests
	log=$(cat state.log)
	why=
	[ $got -eq "$want" ] || why="status $got, not $want"
	# A failure has one line.
	[ "$(wc -l <err)" -le "${lines:-1}" ] || why="more than one line on stderr"
}

# has VALUE PATTERN
has()
{
	# shellcheck disable=SC2053 # a pattern
	[[ $1 == $2 ]] || why="$why; '$1' is not '$2'"
}

result()
{
	nr=$((nr + 1))
	if [ -z "$why" ]; then
		echo "ok $nr $1"
	else
		failed=1
		echo "not ok $nr $1"
		echo "# $why; stdout '$out', stderr '$err'" | tr '\n' ' '
		echo
	fi
}

# patch IMAGE OCTAL: the last byte of the incompatible features
patch()
{
	# shellcheck disable=SC2059 # the octal is a format
	printf "\\$2" | dd of="$1" bs=1 seek=79 conv=notrunc status=none
}

# features IMAGE: the same as a number
features()
{
	od -An -tu1 -j79 -N1 -- "$1" | tr -d ' '
}

# dirty IMAGE [OPTION...]: makes an image of 1 GiB as a crash leaves it
dirty()
{
	local image=$1

	shift
	# The directory keeps qemu-img from seeing anything but a file name.
	qemu-img create -q -f qcow2 "$@" -o lazy_refcounts=on "$PWD/$image" 1G
	# A line of the shell about the abort is of no interest.
	{ qemu-io -c 'write -P 7 0 64k' -c abort "$PWD/$image" >noise; } 2>>noise
	[ "$(($(features "./$image") & 1))" -eq 1 ] || echo "Bail out! $image is not dirty"
}

# stand_in COMMAND: what runs instead of qemu-img with $path
stand_in()
{
	printf '#!/bin/sh\n%s\n' "$1" >stand-in/qemu-img
	chmod +x stand-in/qemu-img
}

quiet()
{
	has "$out" ''
	has "$err" ''
}

# skip_all REASON: none of these tests can be done.
skip_all()
{
	echo "1..0 # SKIP $1"
	exit 4
}

# The plan, and whether all went well.
finish()
{
	echo "1..$nr"
	exit $failed
}
