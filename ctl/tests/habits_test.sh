#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What users of such tools expect: options, exit statuses, tables, progress, odd
# file names, a bare environment. habits_test.sh QCOW2CTL
# shellcheck disable=SC2016 # the inner shell expands

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
# The same without sanitizers and with the real driver's calls: starts faster.
plain=$(realpath -- "${0%/*}/../qcow2ctl")

### Options

# says WORD COMMAND: what getopt says of --WORD: nothing, if it knows it.
says()
{
	{ "$plain" ${2:+"$2"} "$1" --help >/dev/null; } 2>&1
}

# letters COMMAND: each letter is an option if and only if --help has it.
letters()
{
	local letter said known

	known=$(options "$plain" ${1:+"$1"})
	for letter in {a..z} {A..Z}; do
		said=$(says "-$letter" "$1")
		if [[ $known == *"-$letter --"* ]]; then
			[[ $said != *invalid* ]] || why="$why; -$letter: $said"
		else
			[[ $said == *"invalid option -- '$letter'"* ]] ||
				why="$why; -$letter is taken without help"
		fi
	done
}

# words COMMAND: getopt takes abbreviations. It lists those that a letter can stand
# for, if there is more than one.
words()
{
	local letter said known want got

	known=$(options "$plain" ${1:+"$1"} | cut -d ' ' -f 2 | sort)
	for letter in {a..z}; do
		want=$(grep "^--$letter" <<<"$known")
		said=$(says "--$letter" "$1")
		got=$(grep -o "'--[a-z-]*'" <<<"${said#*possibilities}" | tr -d "'" | sort)
		case $said in
		*ambiguous*)
			[ "$got" = "$want" ] || why="$why; --$letter: $said"
			;;
		*unrecognized*)
			[ -z "$want" ] || why="$why; $want: $said"
			;;
		*)
			[ "$(wc -w <<<"$want")" = 1 ] || why="$why; --$letter* is one, not $want"
			;;
		esac
	done
}

run 0 commands "$plain"; has "$(xargs <<<"$out")" "attach detach list info freeze thaw resume window snapshot overlay"
result "commands"
for c in '' $(commands "$plain"); do
	why=
	letters "$c"
	words "$c"
	[ "$(options "$plain" ${c:+"$c"} | wc -l)" = "$("$plain" ${c:+"$c"} --help | grep -cE '^ +-')" ] ||
		why="$why; an option without short or long form"
	awk 'length > 80 { exit 1 }' <("$plain" ${c:+"$c"} --help) || why="$why; line too long"
	result "options of ${c:-qcow2ctl} are those of its help"
done

### Exit statuses of what has more than 0, 1, 2 (window: see command_test.sh)

qemu-img create -q -f qcow2 base 1G
qemu-img create -q -f qcow2 -b base -F qcow2 top
mkdir stand-in sub
path=$PWD/stand-in:$PATH
"$ctl" attach top >/dev/null
run 0 "$ctl" snapshot 0 s1; quiet; has "$log" 'freeze 0 flags=0*thaw 0*'
has "$(qemu-img snapshot -l top)" '*s1*'; result "snapshot"
run 2 "$ctl" snapshot 0; has "$err" '*a device and a name*'; result "snapshot, usage"
run 1 "$ctl" snapshot 3 s; has "$err" '*/dev/qcow23: *no such device*'; result "snapshot, no device"
stand_in 'echo one; echo "qemu-img: no space" >&2; exit 1'
run 1 env PATH="$path" "$ctl" snapshot 0 s2; has "$log" '*thaw 0*'
has "$err" 'qcow2ctl: snapshot: /dev/qcow20: no snapshot: qemu-img snapshot failed: no space'
has "$out" ''; result "snapshot fails"
run 124 env FAKE_FAIL='thaw:5:1:bad L1' "$ctl" snapshot 0 s2
has "$err" '*stays frozen: bad L1; mend*status was 0)'; "$ctl" thaw 0; result "snapshot, thaw fails"
run 0 "$ctl" overlay 0 sub/new; quiet; has "$log" "freeze 0*thaw 0 qcow2:rw:$PWD/sub/new *"
has "$(qemu-img info sub/new)" "*backing file: $PWD/top*"; result "overlay"
run 2 "$ctl" overlay 0; has "$err" '*a device and the name*'; result "overlay, usage"
run 1 "$ctl" overlay 0 top; has "$err" '*/top: File exists'; result "overlay, file exists"
run 1 env PATH="$path" "$ctl" overlay 0 x
has "$err" 'qcow2ctl: overlay: qemu-img create failed: no space'; [ ! -e x ] || why=x
result "overlay, qemu-img fails"
run 124 env FAKE_FAIL='thaw:5:9:bad L1' "$ctl" overlay 0 x
lines=2 has "$err" '*going back*stays frozen: bad L1; mend*'; [ ! -e x ] || why=x
why=${why#more than one line on stderr}; "$ctl" thaw 0; result "overlay, thaw fails"
for c in 'resume 0' 'freeze 0' 'thaw 0' 'snapshot 0 s3' 'overlay 0 quiet' 'detach 0'; do
	# shellcheck disable=SC2086
	lines=20 run 0 "$ctl" -v $c; has "$out" ''; has "$err" "qcow2ctl: ${c%% *}: *"
	result "$c: nothing on standard output, -v explains"
done

### Tables

qemu-img create -q -f qcow2 "$(printf 'sp ace\nnew')" 1G
qemu-img create -q -f raw raw 1G
qemu-img create -q -f qcow2 -b "$(printf 'sp ace\nnew')" -F qcow2 odd
qemu-img rebase -u -f qcow2 -b raw -F raw "$(printf 'sp ace\nnew')"
"$ctl" attach top >/dev/null
"$ctl" attach -r odd >/dev/null
run 0 "$ctl" list -n -r -o NAME,RO,IMAGE
has "$out" "/dev/qcow20 0 $PWD/top${nl=$'\n'}/dev/qcow21 1 $PWD/odd"; result "list -nro"
run 2 "$ctl" list -o NAME,; has "$err" '*: no such column*'; result "list, empty column"
run 2 "$ctl" info -J -r 0; has "$err" '*--json and --raw exclude*'; result "info -J -r"
run 2 "$ctl" info -o FOO 0; has "$err" '*FOO: no such column*'; result "info, no such column"
run 0 "$ctl" info -n -r -o STATE 1; has "$out" live; result "info -nro STATE"
run 0 "$ctl" info -n -o name,size,layers 1; has "$out" '/dev/qcow21 1.5G*3'; result "info, a single line"
run 0 "$ctl" info -b -n -r -o size 1; has "$out" 1610612736; result "info -b"
run 0 "$ctl" info -r -o layer,file,format,version,data-file 1
has "$out" "LAYER FILE FORMAT VERSION DATA-FILE
0 $PWD/odd qcow2 3 *1 $PWD/sp\\\\x20ace\\\\x0anew qcow2 3 *2 $PWD/raw raw  "; result "info, layers"
run 0 "$ctl" info -o +version 1; has "$out" 'NAME *STATE*FILE *VERSION*'; result "info -o +"
run 0 "$ctl" info -n 1; has "$(wc -l <out)" 3; result "info -n"
run 0 "$ctl" info -O 1; has "$(head -n 1 out | wc -w)" 33
has "$(head -n 1 out | tr ' ' '\n' | grep . | sort)" "$("$ctl" info --help | sed -n 's/^ \([A-Z][A-Z-]*\)  .*/\1/p' | sort)"
result "info -O has all columns of its help"
run 0 "$ctl" list -O
has "$(head -n 1 out | tr ' ' '\n' | grep . | sort)" "$("$ctl" list --help | sed -n 's/^ \([A-Z][A-Z-]*\)  .*/\1/p' | sort)"
result "list -O has all columns of its help"
run 0 "$ctl" info -b 1; has "$out" '*size: 1610612736'$'\n''*cluster-size: 65536'$'\n''*'
result "info, sizes in bytes"
run 0 "$ctl" info -J -o file,state 1; python3 -c 'import json
d = json.load(open("out"))
assert list(d) == ["state", "layers"] and d["state"] == "live"
assert [list(l) for l in d["layers"]] == [["file"]] * 3
assert d["layers"][1]["file"].endswith("/sp ace\nnew")' || why=JSON
result "info --json -o"
run 0 "$ctl" info -J -o layers 1; python3 -c 'import json
d = json.load(open("out"))
assert list(d) == ["layers"] and d["layers"][2]["format"] == "raw"
assert d["layers"][0]["cluster-size"] == 65536 and "version" not in d["layers"][2]' || why=JSON
result "info --json -o layers"
run 0 "$ctl" info -J -o state 1; python3 -c 'import json
assert json.load(open("out")) == {"state": "live"}' || why=JSON
result "info --json -o state"
"$ctl" detach 1

### File names, working directories, environments

ln -s ../odd sub/link
ln -s "$PWD/odd" "$(printf 'link to\nodd')"
for name in odd ./odd sub/../odd "$PWD/odd" "$(printf 'link to\nodd')"; do
	run 0 "$ctl" attach "$name"; has "$out" /dev/qcow21
	has "$log" "*:$PWD/odd qcow2:*:$PWD/sp ace${nl}new raw:*:$PWD/raw"; "$ctl" detach 1
	result "attach ${name@Q}"
done
why=
qemu-img create -q -f qcow2 sub/alone 1G
ln -s sub/alone deep
run 0 "$ctl" attach deep; has "$log" "*:$PWD/sub/alone"; "$ctl" detach 1
result "attach through a symbolic link to another directory"
(cd sub && dirty over -b alone -F qcow2)
ln -s sub/over overlink
run 1 "$ctl" attach --no-repair overlink; has "$err" '*overlink: was not closed cleanly: run*'
run 0 "$ctl" attach overlink; has "$log" "* qcow2:rw:$PWD/sub/over qcow2:ro:$PWD/sub/alone"
has "$err" "*$PWD/sub/over: was not closed cleanly: repairing*"; has "$(features sub/over)" 0
"$ctl" freeze 1
run 0 "$ctl" thaw 1; has "$log" "thaw 1 *:$PWD/sub/over *:$PWD/sub/alone"
"$ctl" freeze 1
run 0 "$ctl" thaw --image overlink 1; has "$log" "thaw 1 *:$PWD/sub/over *:$PWD/sub/alone"
"$ctl" detach 1
result "backing file beside what the symbolic link stands for"
mv sub/alone hidden
run 1 "$ctl" attach overlink
has "$err" 'qcow2ctl: attach: alone: no such file (backing file of overlink): put it back*'
mv hidden sub/alone; result "backing file that is nowhere"
mv sub/alone hidden; echo text >sub/alone
run 1 "$ctl" attach overlink
has "$err" "qcow2ctl: attach: $PWD/sub/alone: is not a QCOW2 image*(backing file of $PWD/sub/over)*"
mv hidden sub/alone; result "bad backing file beside what the symbolic link stands for"
run 0 env -C sub "$ctl" attach alone; has "$log" "*:$PWD/sub/alone"
result "attach from another working directory"
run 0 env -C / "$ctl" freeze 1
run 0 env -C / "$ctl" thaw 1; has "$log" "thaw 1 *:$PWD/sub/alone"
result "freeze and thaw from anywhere"
cp sub/alone "sub/co py${nl}x"
"$ctl" freeze 1
run 0 env -C sub "$ctl" thaw --image "co py${nl}x" 1; quiet; has "$log" "thaw 1 *:$PWD/sub/co py${nl}x"
result "thaw --image, odd relative name"
run 0 env -C sub "$ctl" overlay 1 "o v:er${nl}-y"; quiet
has "$log" "*thaw 1 *:$PWD/sub/o v:er${nl}-y *:$PWD/sub/co py${nl}x"; result "overlay, odd relative name"
run 0 "$ctl" snapshot 1 "s n${nl}x"; quiet
qemu-img snapshot -l "sub/o v:er${nl}-y" | grep -q 's n' || why="$why; no snapshot"
result "snapshot of an image with an odd name"
run 0 "$ctl" window 1 -- sh -c 'printf "%s|" "$QCOW2_IMAGE"'; has "$out" "$PWD/sub/o v:er${nl}-y|"
result "window, odd name"
"$ctl" detach 1
dirty crash
# As sudo leaves it, and worse.
run 0 env -i FAKE_STATE="$FAKE_STATE" "$ctl" attach crash; has "$out" /dev/qcow21
has "$(features crash)" 0; "$ctl" detach 1; result "repair without environment"
qemu-img create -q -f qcow2 ümlaut 1G
run 0 env -i FAKE_STATE="$FAKE_STATE" "$ctl" attach ümlaut; has "$out" /dev/qcow21
for c in 'list -J' 'info -J 1'; do
	# shellcheck disable=SC2086
	run 0 env -i FAKE_STATE="$FAKE_STATE" "$ctl" $c
	python3 -c 'assert "/ümlaut\"" in open("out", encoding="utf-8").read()' || why="$why; JSON"
	result "$c without locale"
done
run 0 env -i FAKE_STATE="$FAKE_STATE" "$ctl" list -n -r -o IMAGE; has "$out" '*\\xc3\\xbcmlaut'
result "list without locale"
run 0 env -i FAKE_STATE="$FAKE_STATE" "$ctl" snapshot 1 s; quiet; "$ctl" detach 1
result "snapshot without environment"

### Progress

# terminal NAME [VARIABLE=VALUE]... COMMAND...: runs it on a terminal, with a driver of
# its own that takes 1.6 seconds for what $FAKE_DELAY says. What the terminal gets is
# in NAME.tty.
terminal()
{
	local name=$1

	shift
	cp state "state.$name"
	env SHELL=/bin/sh TERM=xterm FAKE_STATE="$PWD/state.$name" \
		script -q -e -c "env ${*@Q} >'$name.out'" "$name.tty" </dev/null >/dev/null
}

# shown NAME: each line that was shown there, and each that was erased.
shown()
{
	sed '/^Script \(started\|done\)/d; s/\r\x1b\[K/<>/g; s/\r//g' "$1.tty"
}

mkdir -p slow
printf '#!/bin/sh\nsleep 1.6\nexec %s "$@"\n' "$(command -v qemu-img)" >slow/qemu-img
chmod +x slow/qemu-img
slow=$PWD/slow:$PATH
dirty crash
qemu-img create -q -f qcow2 far 1G
"$ctl" freeze 0
terminal thaw FAKE_DELAY=thaw:1600 "$ctl" thaw 0
"$ctl" thaw 0
terminal freeze FAKE_DELAY=freeze:2400 "$ctl" freeze 0 &
terminal verbose FAKE_DELAY=freeze:1600 "$ctl" -v freeze 0 &
terminal dumb TERM=dumb FAKE_DELAY=freeze:1600 "$ctl" freeze 0 &
terminal quick FAKE_DELAY=freeze:100 "$ctl" freeze 0 &
terminal refused FAKE_DELAY=freeze:1600 FAKE_FAIL=freeze:5:1:broken "$ctl" freeze 0 &
terminal narrow FAKE_DELAY=freeze:1600 sh -c 'stty cols 40; "$0" freeze 0' "$ctl" &
terminal background FAKE_DELAY=freeze:1600 bash -c 'set -m; "$0" freeze 0 & wait' "$ctl" &
terminal detach FAKE_DELAY=detach:1600 "$ctl" detach 0 &
terminal resume FAKE_DELAY=resume:1600 "$ctl" resume 0 &
terminal info FAKE_DELAY=info:1600 "$ctl" info 0 &
terminal busy FAKE_FAIL=detach:16:15 "$ctl" detach 0 &
terminal attach FAKE_DELAY=attach:1600 "$ctl" attach far &
terminal repair PATH="$slow" "$ctl" attach crash &
terminal snapshot PATH="$slow" "$ctl" snapshot 0 slow &
terminal overlay PATH="$slow" "$ctl" overlay 0 slower &
cp state state.file
FAKE_DELAY=freeze:1600 FAKE_STATE=$PWD/state.file run 0 "$ctl" freeze 0
quiet; result "no progress without a terminal"
wait
steps='/dev/qcow20: freezing: file systems are frozen, requests end, metadata is written'
why=; out=''; err=$(shown freeze)
has "$err" "<>qcow2ctl: freeze: $steps, 1 s<>qcow2ctl: freeze: $steps, 2 s<>*"
has "$(cat freeze.out)" ''; result "progress of freeze"
why=; err=$(shown verbose)
has "$err" "qcow2ctl: freeze: $steps${nl}<>qcow2ctl: freeze: $steps, 1 s<>*qcow2ctl: freeze: /dev/qcow20: frozen"
result "progress with -v"
for c in dumb quick; do
	why=; err=$(shown $c); has "$err" ''; result "progress: $c"
done
# The shell says that it is done.
why=; err=$(shown background); [[ $err != *'<>'* ]] || why=shown; result "no progress from the background"
why=; err=$(shown refused)
has "$err" "<>qcow2ctl: *, 1 s<>*qcow2ctl: freeze: /dev/qcow20: cannot be frozen: broken"
result "progress, then a failure"
why=; err=$(shown narrow); has "$err" "<>qcow2ctl: freeze: /dev/qcow2, 1 s<>*"
result "progress on a narrow terminal"
for c in 'detach:/dev/qcow20: detaching, *' 'busy:/dev/qcow20: in use, waiting *' \
	 'thaw:/dev/qcow20: thawing: *' 'resume:/dev/qcow20: trying again *' \
	 'info:/dev/qcow20: asking *' 'attach:far: attaching, *' 'snapshot:/dev/qcow20: making snapshot slow' \
	 "overlay:$PWD/slower: making the new image"; do
	why=; err=$(shown "${c%%:*}")
	# shellcheck disable=SC2295 # a pattern
	has "$err" "<>qcow2ctl: *: ${c#*:}, 1 s<>*"; result "progress: ${c%%:*}"
done
why=; err=$(shown repair)
has "$err" "*repairing it with*${nl}<>qcow2ctl: attach: crash: repairing with qemu-img check -r all, 1 s<>*"
has "$(cat repair.out)" /dev/qcow21; result "progress of a repair"

finish
