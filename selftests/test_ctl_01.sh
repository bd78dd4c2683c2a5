#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# qcow2ctl with odd names, from anywhere, without environment, in scripts

. "${0%/*}/lib.sh"

nl=$'\n'
ctl=$(realpath "$test_dir/../ctl/qcow2ctl")

# As sudo leaves the environment; nothing may be written to stderr. What is written to
# stdout goes into $out.
bare()
{
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=xterm SUDO_UID=1000 \
		"$ctl" "$@" >"$mem/out" 2>"$mem/err" || fail "status $?: $*: $(<"$mem/err")"
	out=$(<"$mem/out")
	[ ! -s "$mem/err" ] || fail "wrote to stderr: $*: $(<"$mem/err")"
}

# expect TEXT COMMAND...
expect()
{
	local want=$1

	shift
	bare "$@"
	[ "$out" = "$want" ] || fail "'$out', not '$want': $*"
}

mkdir -p "d 1" d2/d3
truncate -s 64M "d 1/base${nl}x"
qemu-img create -q -f qcow2 -b "base${nl}x" -F raw "d 1/im age${nl}ü.qcow2"
ln -s "../../d 1/im age${nl}ü.qcow2" d2/d3/link
image="$disk/d 1/im age${nl}ü.qcow2"
escaped="$disk/d\\x201/im\\x20age\\x0a\\xc3\\xbc.qcow2"

# The backing file is not beside this symbolic link, but beside what it stands for.
cd d2/d3
expect /dev/qcow20 attach ../d3/link
expect '' detach 0
cd "$disk/d 1"
ln -s "im age${nl}ü.qcow2" "li nk"
cd ../d2
expect /dev/qcow20 attach "../d 1/li nk"
dev=/dev/qcow20
cd /
expect "$dev 0 live 2 $escaped" list -n -r -o NAME,RO,STATE,LAYERS,IMAGE
expect "$escaped qcow2${nl}${escaped%/*}/base\\x0ax raw" info -n -r -o file,format 0
ln -s "$dev" "$disk/by name"
expect live info --noheadings --raw --output STATE "$disk/by name"
bare list --json --output-all --bytes
cp "$mem/out" "$mem/list.json"
bare info --json "$dev"
IMAGE=$image LC_ALL=C.UTF-8 python3 - "$mem" <<'END' || fail "the names in JSON are others"
import json, os, sys
image = os.environ["IMAGE"]
device = json.load(open(sys.argv[1] + "/list.json"))["qcow2devices"][0]
assert device["image"] == image and device["size"] == 64 << 20
info = json.load(open(sys.argv[1] + "/out"))
assert info["layers"][0]["file"] == image
assert info["layers"][1]["file"] == os.path.dirname(image) + "/base\nx"
END

# lsblk is asked in the same way and must know the same.
expect "$(lsblk -b -n -r -d -o SIZE,RO,LOG-SEC "$dev")" list -b -n -r -o SIZE,RO,LOG-SEC
expect "$(lsblk -b -n -r -d -o SIZE "$dev")" info -b -n -r -o SIZE "$dev"
expect "$(lsblk -n -r -d -o SIZE "$dev")" list -n -r -o SIZE

# Nothing but results on stdout.
cd "$disk/d2"
expect '' snapshot "$dev" "s 1${nl}ü"
expect '' freeze --no-fs-freeze "../by name"
expect '' thaw "$dev"
# shellcheck disable=SC2016 # for the other shell
expect "$dev $image" window "$dev" -- /bin/sh -c 'echo "$QCOW2_DEVICE $QCOW2_IMAGE"'
expect '' overlay "$dev" "top: of${nl}it"
expect "$disk/d2/top:\\x20of\\x0ait" list -n -r -o IMAGE
expect '' resume "$dev"
cp "top: of${nl}it" "co py"
expect '' freeze "$dev"
expect '' thaw --image "co py" "$dev"
expect "$disk/d2/co\\x20py" list -n -r -o IMAGE

# Somebody else's completion sees the devices, though the driver answers root only.
mkdir "$mem/completion"
cp "$test_dir/../ctl/completion/qcow2ctl" "$mem/completion"
cp "$ctl" "$mem"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
# shellcheck disable=SC2016 # for the other shell
found=$("${nobody[@]}" bash -c '
	. /usr/share/bash-completion/bash_completion
	. "$1"
	COMP_WORDS=(qcow2ctl info "") COMP_LINE="qcow2ctl info " COMP_POINT=14 COMP_CWORD=2
	_qcow2ctl "$2" "" info
	echo "${COMPREPLY[*]}"' - "$mem/completion/qcow2ctl" "$mem/qcow2ctl")
[ "$found" = "$dev" ] || fail "completion finds '$found'"
refused "permission denied.*as root" "${nobody[@]}" "$mem/qcow2ctl" list

expect '' detach "../by name"
expect '' list
check_clean "co py"
check_clean "$image"
