#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# commands in a wrong order are refused with a reason and change nothing

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 64M
attach a.qcow2
number=${dev#/dev/qcow2}

# What is gone is gone for every command.
detach "$dev"
for command in detach "detach -d" "detach -f" freeze thaw info; do
	# shellcheck disable=SC2086
	refused "qcow2$number.*(does not exist|no such device)" qcow2ctl $command "$dev"
done
refused "qcow2$number.*(does not exist|no such device)" qcow2ctl window "$dev" -- true
[ "$status" = 125 ] || fail "window: status $status"

# A window in a window, by the command that runs in it.
attach a.qcow2
status=0
qcow2ctl window "$dev" -- qcow2ctl window "$dev" -- touch inner 2>"$mem/err" ||
	status=$?
[ "$status" = 125 ] || fail "status $status: $(<"$mem/err")"
[[ $(<"$mem/err") == *frozen* ]] || fail "said '$(<"$mem/err")'"
[ ! -e inner ] || fail "the inner window was opened"
expect_state "$dev" live
# One that closes it itself leaves nothing for window to do.
status=0
qcow2ctl window "$dev" -- qcow2ctl thaw "$dev" 2>"$mem/err" || status=$?
expect_state "$dev" live
[[ $(<"$mem/err") == *"thawed before"*"somebody else"* ]] || fail "said '$(<"$mem/err")'"
[ "$status" = 0 ] || fail "status $status, the device is live"
# And one that detaches it.
status=0
qcow2ctl window "$dev" -- qcow2ctl detach "$dev" 2>"$mem/err" || status=$?
[ "$status" = 124 ] || fail "status $status, the device is gone"
[[ $(<"$mem/err") == *"does not exist"* ]] || fail "said '$(<"$mem/err")'"
device_exists && fail "the device is still there"

# A device that waits for its last user: all else goes on as before.
attach a.qcow2
exec {fd}<"$dev"
qcow2ctl detach -d "$dev"
qcow2ctl detach -d "$dev"
refused "in use" qcow2ctl detach "$dev"
qcow2ctl freeze "$dev"
refused "in use|frozen" qcow2ctl detach "$dev"
qcow2ctl detach -d "$dev"
expect_state "$dev" frozen
qcow2ctl thaw "$dev"
qcow2ctl window "$dev" -- true
expect_state "$dev" live
exec {fd}<&-
gone()
{
	local i

	for ((i = 0; i < 50; i++)); do
		device_exists || return 0
		sleep 0.1
	done
	fail "the device is still there: $1"
}
gone "its last user has closed it"
# The last user goes in a window.
attach a.qcow2
exec {fd}<"$dev"
qcow2ctl detach -d "$dev"
qcow2ctl freeze "$dev"
exec {fd}<&-
gone "its last user has closed it in a window"
check_clean a.qcow2
# Whoever cannot wait.
attach a.qcow2
exec {fd}<"$dev"
qcow2ctl detach -d "$dev"
qcow2ctl detach -f "$dev"
refused "does not exist|no such device" qcow2ctl detach -f "$dev"
exec {fd}<&-
gone "after detach -f"

# A mounted one in a window: nobody may unmount it, nor take it away.
attach a.qcow2
mkfs.ext4 -q "$dev"
mount_at mnt "$dev"
echo one >mnt/file
qcow2ctl freeze "$dev"
refused "in use.*frozen" qcow2ctl detach "$dev"
refused "in use" rmmod blkqcow2
refused "frozen" qcow2ctl freeze --no-fs-freeze "$dev"
qcow2ctl thaw "$dev"
# Frozen by somebody else before, it must be so after the window.
fsfreeze -f mnt
qcow2ctl window "$dev" -- qemu-img snapshot -c s1 a.qcow2
echo two >mnt/file &
writer=$!
waits "$writer"
fsfreeze -u mnt
wait "$writer"
[ "$(<mnt/file)" = two ] || fail "the write is lost"

# A device on a device: the lower one is in use, its window holds both up.
qemu-img create -q -f qcow2 mnt/upper.qcow2 16M
lower=$dev
attach mnt/upper.qcow2
refused "${lower}.*in use.*mounted" qcow2ctl detach "$lower"
"$bin/diff_io" --dev "$dev" --seed 1 --ops 200 --depth 8 --model "$mem/m" \
	--exec-at 100 "qcow2ctl window $lower -- qemu-img snapshot -c s2 $disk/a.qcow2" \
	>/dev/null
qcow2ctl window "$dev" -- qemu-img snapshot -c s1 mnt/upper.qcow2
detach "$dev"
model=$mem/m
diff_verdict mnt/upper.qcow2
unmount mnt
detach "$lower"
check_clean a.qcow2
check_usable
