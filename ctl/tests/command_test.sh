#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of the commands with a stand-in for the driver, in the current
# directory: command_test.sh QCOW2CTL
# shellcheck disable=SC2016 # the inner shell expands

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 base 1G
qemu-img create -q -f qcow2 -b base -F qcow2 top
qemu-img create -q -f qcow2 "$(printf 'sp ace\nnew')" 1G

# usage
run 2 "$ctl"; has "$err" 'qcow2ctl: no command given*'; result "no command"
run 2 "$ctl" frob; has "$err" 'qcow2ctl: frob: no such command*'; result "unknown command"
run 0 "$ctl" --help; has "$out" 'Usage: *window*'; result "help"
run 0 "$ctl" -V; has "$out" 'qcow2ctl [0-9]*'; result "version"
for c in $(commands "$ctl"); do
	run 0 "$ctl" "$c" --help; has "$out" "Usage: qcow2ctl $c *Exit status*"; result "$c --help"
	run 0 "$ctl" "$c" -V; has "$out" 'qcow2ctl [0-9]*'; result "$c --version"
	run 2 "$ctl" "$c" --frob; has "$err" "qcow2ctl: $c: unrecognized*--frob*"; result "$c --frob"
	run 2 "$ctl" "$c" -vZ; has "$err" "qcow2ctl: $c: invalid option*Z*"; result "$c -vZ"
done
run 2 "$ctl" attach; has "$err" '*no image given*'; result "attach without image"
run 2 "$ctl" attach a b; has "$err" '*b: only one image*'; result "attach two"
run 2 "$ctl" attach -i; has "$err" '*requires an argument*i*'; result "option without argument"
run 2 "$ctl" attach -i x top; has "$err" '*x: not a device number*'; result "bad index"
run 2 "$ctl" attach --cache-size 1Q top; has "$err" '*1Q: not a size*'; result "bad size"
run 2 "$ctl" attach --on-enospc=wait top; has "$err" '*fail or park, not wait*'; result "bad policy"
run 2 "$ctl" attach --read-only=1 top; has "$err" '*--read-only*allow an argument*'; result "extra argument"
run 2 "$ctl" detach -f -d 0; has "$err" '*exclude each other*'; result "detach -f -d"
run 2 "$ctl" detach -a 0; has "$err" '*exclude each other*'; result "detach -a 0"
run 2 "$ctl" window 0; has "$err" '*no command given*'; result "window without command"
run 2 "$ctl" list -o SIZE,FOO; has "$err" '*FOO: no such column*'; result "bad column"

# without the driver, without the right
run 1 env -u FAKE_STATE "$ctl" list; has "$err" '*modprobe blkqcow2*'; result "no driver"
run 125 env -u FAKE_STATE "$ctl" window 0 true; has "$err" '*modprobe blkqcow2*'
result "window without driver"
run 1 env FAKE_FAIL=attach:1:1 "$ctl" attach top; has "$err" '*top: permission denied: *root*'
result "no privilege"
run 1 env FAKE_FAIL=attach:25:1 "$ctl" attach top; has "$err" '*same version*'
result "another interface"

# list without devices
run 0 "$ctl" list; quiet; result "empty list"
run 0 "$ctl" list --json; has "$(tr -d ' \n' <out)" '{"qcow2devices":\[\]}'; result "empty JSON list"
run 0 "$ctl" detach -a; quiet; result "detach all of none"

# attach
run 1 env FAKE_FAIL='attach:11:1:base: locked by another process' "$ctl" attach top
has "$err" 'qcow2ctl: attach: top: base: locked by another process: stop what uses it*'
run 1 env FAKE_FAIL='attach:22:1:/x/base: bad L1' "$ctl" attach top
has "$err" 'qcow2ctl: attach: /x/base: bad L1'
result "the driver's reason"
run 1 env FAKE_FAIL='attach:22:1:a	b' "$ctl" attach top; has "$err" '*a\\tb'
result "the driver's reason is escaped"
run 1 env FAKE_NO_NODE=1 "$ctl" attach top
has "$err" '*/dev/qcow20: the device node did not appear, detached*'
has "$out" ''; has "$log" '*detach 0 flags=0'; result "no device node"
run 0 "$ctl" attach --cache-size 4M top; has "$out" /dev/qcow20; has "$err" ''
has "$log" "attach 0 cache=4194304 qcow2:rw:$PWD/top qcow2:ro:$PWD/base"; result "attach"
run 0 "$ctl" attach -r -i 3 base; has "$out" /dev/qcow23
has "$log" "attach 3 cache=0 read-only qcow2:ro:$PWD/base"; result "attach -r -i"
run 1 "$ctl" attach -i 3 top; has "$err" '*index is taken*'; result "index taken"
run 0 "$ctl" attach "$(printf 'sp ace\nnew')"; has "$out" /dev/qcow21; result "odd name"
run 1 "$ctl" attach "$(printf 'no\nsuch')"; has "$err" '*no\\nsuch: no such file*'
result "newline in a message"
run 1 bash -c 'exec "$0" attach -i 2 top >/dev/full' "$ctl"
has "$err" '*qcow22: the name cannot be written to standard output (*), detached again'
run 1 "$ctl" info 2; result "attach that cannot print"
run 1 bash -c 'exec "$0" list >/dev/full' "$ctl"; has "$err" '*cannot write to standard output*'
result "full standard output"
"$ctl" attach -i 2 top >out; run 0 "$ctl" detach qcow22; quiet; result "detach qcow22"
run 2 "$ctl" attach -c 0 top; has "$err" '*0: not a size*'; result "no cache"
for closed in '<&-' '2>&-'; do
	run 0 bash -c 'exec "$0" attach -i 2 top '"$closed" "$ctl"; has "$out" /dev/qcow22
	"$ctl" detach 2; result "attach with $closed"
done
run 1 bash -c 'exec "$0" attach -i 2 top <&- >&-' "$ctl"
has "$err" '*cannot be written to standard output*'; result "attach with >&-"

# list and info
run 0 "$ctl" list
has "$out" "NAME*SIZE RO STATE LAYERS IMAGE*/dev/qcow20*1.5G*0 live*2 $PWD/top*"
has "$out" '*sp ace\\x0anew*'; result "list"
run 0 "$ctl" list -n -r -o name,size -b; has "$out" '/dev/qcow20 1610612736*'; result "list -nrb -o"
run 0 "$ctl" list -o +version; has "$out" '*IMAGE*VERSION*'; result "list -o +"
run 0 "$ctl" list -O; has "$out" '*FROZEN*'; result "list -O"
for o in '' -b -O -Ob; do
	run 0 "$ctl" list --json $o; python3 -c 'import json,sys
d = json.load(open("out"))["qcow2devices"]
assert len(d) == 3 and d[1]["image"].endswith("sp ace\nnew")
assert d[2]["ro"] is True and d[0]["layers"] == 2' || why=JSON
	result "list --json $o"
done
run 0 "$ctl" info 0; has "$out" 'name: /dev/qcow20*layer 1:*file: *base*'; result "info"
run 0 "$ctl" info --json /dev/qcow20; python3 -c 'import json
d = json.load(open("out"))
assert d["layers"][1]["file"].endswith("/base") and d["read-only"] is False' || why=JSON
result "info --json"
run 1 "$ctl" info 2; has "$err" '*/dev/qcow22: no such device*list*'; result "no such device"

# names for udev, and /etc/qcow2tab
run 2 "$ctl" info --json --udev 0; has "$err" '*exclude each other*'; result "info --json --udev"
export QCOW2TAB=$PWD/qcow2tab
run 0 "$ctl" info --udev 0; has "$out" $'QCOW2_INDEX=0\nQCOW2_FILE_ENC=top'; result "info --udev, no table"
printf '%s\n' '# root top' "12 $PWD/top" "bad/name $PWD/top" "alone" \
	"other $PWD/base" "root-disk $PWD/./top read-only" >qcow2tab
run 0 "$ctl" info --udev 0; has "$out" '*_FILE_ENC=top?QCOW2_NAME=root-disk'; result "info --udev"
printf 'odd %s\n' "$PWD/sp\\040ace\\012new" >>qcow2tab
run 0 "$ctl" info --udev 1; has "$out" '*_FILE_ENC=sp\\x20ace\\x0anew?QCOW2_NAME=odd'
result "info --udev, odd characters"
ln top 77
"$ctl" attach -r -i 2 77 >noise; run 0 "$ctl" info --udev 2
has "$out" $'QCOW2_INDEX=2\nQCOW2_NAME=root-disk'; "$ctl" detach 2; rm 77
result "info --udev, a number as file name"
run 1 "$ctl" info --udev 99; has "$err" '*/dev/qcow299: no such device*'; result "info --udev, no such device"
unset QCOW2TAB
dev=$(awk '$4 !~ /^(qcow|name|$)/ {print "/dev/" $4; exit}' /proc/partitions)
if [ -b "$dev" ]; then
	run 1 "$ctl" info "$dev"; has "$err" "*$dev is not a qcow2 device*"; result "other device"
fi

# freeze, thaw and resume
run 0 "$ctl" resume 0; quiet; has "$log" 'resume 0'; result "resume"
run 1 "$ctl" thaw 0; has "$err" '*/dev/qcow20: is not frozen'; result "thaw of a live device"
run 0 "$ctl" freeze --no-fs-freeze 0; quiet; has "$log" 'freeze 0 flags=1'; result "freeze"
run 1 "$ctl" resume 0; has "$err" '*/dev/qcow20: cannot be resumed: the device is frozen'
result "resume of a frozen device"
run 1 "$ctl" freeze 0; has "$err" '*cannot be frozen: the device is frozen already'
result "freeze twice"
run 125 "$ctl" window 0 touch ran; has "$err" '*frozen already'; [ ! -e ran ] || why=ran
result "window in a window"
run 1 env FAKE_FAIL=detach:16:99 "$ctl" detach 0; has "$err" '*in use and frozen: thaw it first*'
result "detach frozen"
mv base moved
run 1 "$ctl" thaw 0; has "$err" '*/dev/qcow20: stays frozen:*base: no such file (backing*top)*'
result "thaw without backing file"
mv moved base
qemu-img create -q -f raw other 1G
qemu-img rebase -u -f qcow2 -F raw -b other top
run 0 "$ctl" thaw 0; quiet; has "$log" "thaw 0 qcow2:rw:$PWD/top raw:ro:$PWD/other"
result "thaw after rebase"
run 0 "$ctl" freeze 3
run 0 "$ctl" thaw 3; has "$log" "thaw 3 qcow2:ro:$PWD/base"; result "thaw read-only"
"$ctl" freeze 0
run 0 env FAKE_FAIL='thaw:11:2:locked' "$ctl" thaw 0; quiet; result "thaw when let go of"
"$ctl" freeze 0
run 1 env FAKE_FAIL='thaw:5:1:bad L1' "$ctl" thaw 0; has "$err" '*stays frozen: bad L1'
run 0 "$ctl" thaw 0; result "thaw refused, then mended"

# window
run 0 "$ctl" window 0 -- sh -c 'echo "$QCOW2_DEVICE $QCOW2_IMAGE"'
has "$out" "/dev/qcow20 $PWD/top"; has "$log" 'freeze 0 flags=0*thaw 0 *'; result "window"
run 7 "$ctl" window --no-fs-freeze 0 sh -c 'exit 7'; has "$log" '*flags=1*thaw*'; quiet
result "window, status"
FAKE_DELAY=freeze:1500 "$ctl" window 0 -- sh -c 'echo "$QCOW2_IMAGE"' >image & sleep 0.5
cp top two; "$ctl" freeze 0; "$ctl" thaw -i two 0; wait $!
why=; has "$(cat image)" "$PWD/two"; rm two; result "window, of which image is said in it"
"$ctl" freeze 0; "$ctl" thaw -i top 0
run 137 "$ctl" window 0 -- sh -c 'kill -9 $$'; has "$log" '*thaw*'; quiet; result "window, SIGKILL"
run 139 "$ctl" window 0 -- sh -c 'kill -SEGV $$'; has "$log" '*thaw*'; result "window, SIGSEGV"
run 127 "$ctl" window 0 -- no-such-command; has "$err" '*no-such-command: command not found'
has "$log" '*thaw*'; result "window, not found"
run 126 "$ctl" window 0 -- ./base; has "$err" '*./base: cannot be executed: *'
has "$log" '*thaw*'; result "window, not executable"
run 124 env FAKE_FAIL='thaw:5:1:bad L1' "$ctl" window 0 -- true
has "$err" "*stays frozen: bad L1; mend*'qcow2ctl thaw /dev/qcow20'*"; result "window, thaw fails"
"$ctl" thaw 0
for t in '' '-t 60'; do
	# shellcheck disable=SC2086 # two words
	run 124 env FAKE_FAIL='thaw:116:99:/x: is another file' "$ctl" window $t 0 -- true
	has "$err" '*stays frozen: /x: is another file; mend*'; result "window $t, another file"
	run 0 "$ctl" thaw 0; quiet; result "window $t, another file, thawed"
	# shellcheck disable=SC2086 # two words
	run 5 "$ctl" window $t 0 -- sh -c "'$ctl' thaw 0; exit 5"
	has "$err" '*was thawed before*by somebody else'; result "window $t, thawed by somebody else"
	# shellcheck disable=SC2086 # two words
	run 6 env FAKE_FAIL='thaw:125:1:closed already' "$ctl" window $t 0 -- sh -c 'exit 6'
	has "$err" '*was thawed before*'; result "window $t, closed already"
	"$ctl" thaw 0
done
run 2 "$ctl" window --on-timeout fail 0 -- touch ran; has "$err" '*there is no --timeout*'
[ ! -e ran ] || why=ran; result "--on-timeout fail, without a time"
run 2 "$ctl" freeze -T fail 0; has "$err" '*there is no --timeout*'
result "freeze --on-timeout fail, without a time"
run 125 env FAKE_FAIL='freeze:5:1:no space' "$ctl" window 0 -- touch ran
has "$err" '*cannot be frozen: no space'; [ ! -e ran ] || why=ran; result "window, freeze fails"
for s in HUP:129 INT:130 QUIT:131 TERM:143 USR1:138 ALRM:142; do
	run ${s#*:} bash -c 'set -m; "$0" window 0 -- sh -c "echo >started; exec sleep 5" & p=$!
while [ ! -e started ]; do sleep 0.05; done; rm started; kill -'${s%:*}' $p; wait $p' "$ctl"
	has "$log" '*thaw*'; result "window, SIG${s%:*} passed on"
done
run 5 bash -c 'set -m; "$0" window 0 -- sh -c "trap \"exit 5\" INT; echo >started; sleep 5; :" &
while [ ! -e started ]; do sleep 0.05; done; rm started; kill -INT -$!; wait $!' "$ctl"
has "$log" '*thaw*'; result "window, SIGINT to the group"
run 0 "$ctl" window 0 -- grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status
has "$out" "$(grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status)"; result "window, signals are as before"
run 0 bash -c '(sleep 0.3; exec "$0" -v window 0 true) 2>&1 >/dev/null | true; sleep 0.8' "$ctl"
has "$log" '*thaw*'; result "window, nobody reads stderr"

# replaced and deleted files
"$ctl" freeze 0
cp top new; mv new top
python3 - "$PWD/top" <<'END'
import sys
name = sys.argv[1].encode()
old = open("state", "rb").read()
new = old.replace(name + bytes(10), name + b" (deleted)", 1)
assert new != old
open("state", "r+b").write(new)
END
run 0 "$ctl" thaw 0; has "$log" "thaw 0 qcow2:rw:$PWD/top *"; result "thaw with another file"
"$ctl" freeze 0
cp top keep; rm top
run 1 "$ctl" thaw 0; has "$err" "*$PWD/top: no such file: check*"; result "thaw without the file"
mv keep top; "$ctl" thaw 0

# data files
qemu-img create -q -f qcow2 -o data_file=dbase.raw,data_file_raw=on dbase 1G
qemu-img create -q -f qcow2 -o data_file=dtop.raw -b dbase -F qcow2 dtop
run 0 "$ctl" attach dtop; has "$out" /dev/qcow22
has "$log" "attach 2 cache=0 qcow2:rw:$PWD/dtop data:rw:$PWD/dtop.raw qcow2:ro:$PWD/dbase data:ro:$PWD/dbase.raw"
result "attach with data files"
run 0 "$ctl" info 2
has "$out" "*layer 0:*file: $PWD/dtop*data-file: $PWD/dtop.raw*layer 1:*data-file: $PWD/dbase.raw*"
result "info, data files"
run 0 "$ctl" info 0; has "${out/data-file/}" "$out"; result "info, no data files"
run 0 "$ctl" info --json 2; python3 -c 'import json
d = json.load(open("out"))["layers"]
assert d[0]["data-file"].endswith("/dtop.raw") and d[1]["data-file"].endswith("/dbase.raw")' ||
	why=JSON
result "info --json, data files"
run 0 "$ctl" info --json 0; python3 -c 'import json
assert not any("data-file" in l for l in json.load(open("out"))["layers"])' || why=JSON
result "info --json, no data files"
"$ctl" freeze 2
mv dtop.raw moved
run 1 "$ctl" thaw 2
has "$err" "*qcow22: stays frozen: $PWD/dtop.raw: no such file (data file of $PWD/dtop): put it*"
result "thaw without the data file"
mv moved dtop.raw
cp dtop.raw dnew.raw
qemu-img amend -f qcow2 -o data_file="$PWD/dnew.raw" dtop
run 0 "$ctl" thaw 2; has "$log" "thaw 2 qcow2:rw:$PWD/dtop data:rw:$PWD/dnew.raw qcow2:ro:*"
result "thaw with another data file"
"$ctl" detach 2
run 0 "$ctl" attach -r -i 2 dtop
has "$log" "* read-only qcow2:ro:$PWD/dtop data:ro:$PWD/dnew.raw qcow2:ro:*"
result "attach -r with data files"
"$ctl" detach 2
chmod 0444 dnew.raw
run 1 "$ctl" attach dtop; has "$err" '*/dnew.raw: read-only file* (data file of dtop): use -r*'
result "read-only data file"
mkdir sub
qemu-img create -q -f qcow2 -o data_file=ds.raw sub/ds 1G
cp ds.raw sub
ln -s sub/ds dslink
run 1 "$ctl" attach dslink; has "$err" "*dslink: its * data files are not found by*, $PWD/sub/ds:*"
result "another data file by the full path"

# images that were not closed cleanly
mkdir stand-in
path=$PWD/stand-in:$PATH
repaired='was not closed cleanly: repairing it with qemu-img check -r all'
dirty crash
run 1 "$ctl" attach --no-repair crash; has "$log" ''
has "$err" "qcow2ctl: attach: crash: was not closed cleanly: run 'qemu-img check -r all' on it, *"
has "$(features crash)" 1; result "attach --no-repair"
run 0 "$ctl" attach -r crash; has "$log" "* read-only qcow2:ro:$PWD/crash"; has "$err" ''
has "$(features crash)" 1; "$ctl" detach 2; result "dirty image, read-only"
run 1 env -u FAKE_STATE "$ctl" attach crash; has "$err" '*modprobe*'; has "$(features crash)" 1
result "dirty image without driver"
run 0 "$ctl" attach crash; has "$err" "qcow2ctl: attach: crash: $repaired"
has "$out" /dev/qcow22; has "$log" "* qcow2:rw:$PWD/crash"; has "$(features crash)" 0
qemu-img check -q crash || why="$why; not repaired"
"$ctl" detach 2; result "dirty image is repaired"
run 0 "$ctl" attach crash; has "$err" ''; "$ctl" detach 2; result "repaired once only"
dirty crash
lines=15 run 0 "$ctl" -v attach crash; has "$err" "*$repaired*attach: Repairing cluster*"
"$ctl" detach 2; result "repair, verbose"
dirty crash
run 0 bash -c 'trap "" CHLD; exec "$0" attach crash <&- 2>&-' "$ctl"; has "$(features crash)" 0
"$ctl" detach 2; result "repair without streams and SIGCHLD"
nl=$'\n'
for name in -x a:b json:x nbd://h 'a b' "a${nl}b" 'a,b=c' "a'\"b"; do
	[ "$name" = nbd://h ] && mkdir nbd:
	dirty "$name"
	run 0 "$ctl" attach -- "$name"; has "$(features "./$name")" 0
	has "$log" "* qcow2:rw:$(realpath -- "$name")"; "$ctl" detach 2; result "repair of ${name@Q}"
done
dirty crash
truncate -s 2M crash
if dev=$(losetup -f --show crash 2>/dev/null); then
	run 0 "$ctl" attach "$dev"; has "$log" "* qcow2:rw:$dev"; "$ctl" detach 2
	losetup -d "$dev"; has "$(features crash)" 0; result "repair of a block device"
fi
(cd sub && qemu-img create -q -f qcow2 -o data_file=c.raw base 1G)
(cd sub && dirty crash -b base -F qcow2 -o data_file=d.raw)
cp sub/crash was
run 0 "$ctl" attach sub/crash
has "$log" "* qcow2:rw:$PWD/sub/crash data:rw:$PWD/sub/d.raw qcow2:ro:$PWD/sub/base data:ro:*"
has "$(features sub/crash)" 4; patch was 004
cmp -n 1024 was sub/crash || why="$why; the header has changed"
"$ctl" detach 2; result "repair with backing and data files elsewhere"

# repairs that fail
dirty crash
lines=2
run 1 env PATH=/nonexistent "$ctl" attach crash
has "$err" "*crash: was not closed cleanly, and there is no qemu-img*: install*"
result "repair without qemu-img"
touch stand-in/qemu-img
run 1 env PATH="$PWD/stand-in" "$ctl" attach crash; has "$err" '*cannot be run to repair it (Permission denied)*'
result "repair with a qemu-img that cannot be run"
stand_in 'echo one; echo two >&2; exit 1'
run 1 env PATH="$path" "$ctl" attach crash; has "$err" "*crash: *'qemu-img check -r all' failed (two): *"
has "$out" ''; result "repair fails"
stand_in 'exit 2'
run 1 env PATH="$path" "$ctl" attach crash; has "$err" '*crash: *could not repair all of it: restore*'
result "repair is incomplete"
stand_in 'exit 63'
run 1 env PATH="$path" "$ctl" attach crash; has "$err" '*crash: *failed (*): mend*'
result "repair is not possible"
stand_in 'kill -9 $$'
run 1 env PATH="$path" "$ctl" attach crash; has "$err" '*crash: *killed by signal 9: *'
result "repair is killed"
stand_in 'exit 0'
run 1 env PATH="$path" "$ctl" attach crash; has "$err" '*crash: is marked as not closed cleanly even*'
has "$log" ''; result "repair does nothing"
stand_in 'cp crash new && mv new crash'
run 1 env PATH="$path" "$ctl" attach crash; has "$err" '*crash: was replaced by another file*'
has "$log" ''; result "image replaced during its repair"
stand_in 'mv crash hidden'
run 1 env PATH="$path" "$ctl" attach crash; has "$err" '*crash: no such file: check the name'
mv hidden crash; result "image removed during its repair"
export REAL PATH
REAL=$(command -v qemu-img)
stand_in 'echo "$@" >args; cat >>args; "$REAL" "$@" && exit 3'
run 0 env PATH="$path" "$ctl" attach crash <<<input
has "$(cat args)" 'check -q -r all json:*}'
has "$(features crash)" 0; "$ctl" detach 2; result "repair leaves leaks"
patch crash 201
run 1 "$ctl" attach crash; has "$err" '*crash: *failed (Unsupported qcow2 feature*): mend*'
result "the reason is qemu-img's"
for bits in 002 003; do
	patch crash $bits
	lines=1 run 1 "$ctl" attach crash
	has "$err" "qcow2ctl: attach: crash: is marked corrupt: attach it read-only (-r), or run *"
	has "$log" ''; has "$(features crash)" "$((8#$bits))"; result "corrupt image ($bits)"
	lines=1 run 0 "$ctl" attach -r crash; has "$err" ''; "$ctl" detach 2
	result "corrupt image ($bits), read-only"
done
unset lines
patch crash 000

# windows that leave such images
"$ctl" attach crash >out
"$ctl" freeze 2
patch crash 001
run 1 "$ctl" thaw 2
has "$err" "*qcow22: stays frozen: $PWD/crash: was not closed cleanly: run 'qemu-img check -r all' on it, then *"
has "$log" ''; has "$(features crash)" 1; result "thaw of a dirty image"
patch crash 002
run 1 "$ctl" thaw 2; has "$err" "*stays frozen: $PWD/crash: is marked corrupt: run *"; has "$log" ''
result "thaw of a corrupt image"
qemu-img check -q -r all crash
run 0 "$ctl" thaw 2; quiet; result "thaw of a repaired image"
run 124 "$ctl" window 2 -- sh -c 'printf "\1" | dd of=crash bs=1 seek=79 conv=notrunc status=none'
has "$err" "*stays frozen: $PWD/crash: was not closed cleanly: *"; has "$(features crash)" 1
patch crash 000; "$ctl" thaw 2; "$ctl" detach 2; result "window that leaves a dirty image"

# detach
run 0 env FAKE_FAIL=detach:16:3 "$ctl" detach /dev/qcow20; quiet; result "detach when closed"
run 1 env FAKE_FAIL=detach:16:99 "$ctl" detach 1
has "$err" '*/dev/qcow21: in use: unmount or close it, or use --deferred or --force'
result "detach in use"
run 0 "$ctl" detach -d 1; has "$log" 'detach 1 flags=1'; result "detach --deferred"
run 1 "$ctl" detach 1; has "$err" '*no such device*'; result "detach twice"
run 1 "$ctl" detach 3 /dev/qcow20p1; has "$err" '*is a partition: name the whole*/dev/qcow20'
has "$log" 'detach 3*'; result "detach one of two"
run 0 "$ctl" -v list; has "$out" ''; result "nothing left"

finish
