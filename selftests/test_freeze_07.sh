#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a window ends as its command does, and the device is thawed

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2

# window STATUS COMMAND...
window()
{
	local want=$1 got=0

	shift
	qcow2ctl window "$dev" -- "$@" 2>"$mem/err" || got=$?
	[ "$got" = "$want" ] || fail "status $got, not $want: $* ($(<"$mem/err"))"
	expect_state "$dev" live
}

window 0 true
window 1 false
window 7 sh -c 'exit 7'
window 137 sh -c 'kill -KILL $$'
window 127 /nonexistent/command
window 126 /usr/include
window 1 qemu-img snapshot -d nonexistent a.qcow2
# The command knows what it is run for, and the state that it sees is frozen.
window 0 sh -c "[ \"\$QCOW2_DEVICE\" = $dev ] &&
	[ \"\$QCOW2_IMAGE\" -ef $disk/a.qcow2 ] &&
	read -r state </sys/block/${dev##*/}/qcow2/state && [ \$state = frozen ]"
"$bin/diff_io" --dev "$dev" --seed 1 --ops 50 --depth 8 --model "$mem/m" >/dev/null

# If the image is none any more it stays frozen, and can be mended.
cat >spoil <<'END'
printf 'XFI' | dd of="$QCOW2_IMAGE" bs=1 conv=notrunc status=none
END
cat >mend <<'END'
printf 'QFI' | dd of=a.qcow2 bs=1 conv=notrunc status=none
END
status=0
qcow2ctl window "$dev" -- sh spoil 2>"$mem/err" || status=$?
[ "$status" = 124 ] || fail "status $status without an image"
mapfile -t lines <"$mem/err"
[ ${#lines[@]} = 1 ] || fail "said in ${#lines[@]} lines: ${lines[*]}"
expect_state "$dev" frozen
refused "a.qcow2.*not a qcow2" qcow2ctl thaw "$dev"
sh mend
qcow2ctl thaw "$dev"
"$bin/diff_io" --dev "$dev" --seed 2 --ops 50 --depth 8 --init "$mem/m" >/dev/null
detach "$dev"
check_clean a.qcow2
