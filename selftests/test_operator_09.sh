#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# SIGKILL during the repair of an image by attach: attach it again, and all is well

. "${0%/*}/lib.sh"
. "$test_dir/patch.sh"

index=7
mkfifo "$mem/never"
exec {never}<>"$mem/never"

# Refcounts that nobody has counted: QEMU is killed before it writes them.
content 8M
qemu-img convert -f raw -O qcow2 -o lazy_refcounts=on "$raw_content" dirty.qcow2
qemu-img resize -q dirty.qcow2 12M
(qemu-io -f qcow2 -c "write -P 0x5a 7M 4M" -c "sigraise 9" dirty.qcow2 || :) \
	>/dev/null 2>&1
to_raw dirty.qcow2 "$mem/want"

is_dirty()
{
	be64 72
	[ $((value & 1)) = 1 ]
}

# repair_begins: of a.qcow2, by a qcow2ctl that is left to itself as $pid.
repair_begins()
{
	: >"$mem/err"
	# With a process group of its own, which has all that it starts.
	set -m
	qcow2ctl attach -i "$index" a.qcow2 >"$mem/out" 2>"$mem/err" &
	pid=$!
	set +m
	# It says so.
	until [ -s "$mem/err" ]; do
		kill -0 "$pid" 2>/dev/null || fail "nothing is repaired"
		read -r -t 0.005 -u "$never" || :
	done
	began=${EPOCHREALTIME/./}
}

# again: a plain attach must do it, at once or when a qemu-img that was left
# alone is done.
again()
{
	local i

	for ((i = 0; i < 100; i++)); do
		! qcow2ctl attach -i "$index" a.qcow2 >/dev/null 2>"$mem/again" ||
			return 0
		[[ $(<"$mem/again") =~ (in use|lock|another process) ]] || break
		read -r -t 0.1 -u "$never" || :
	done
	fail "attach: $(<"$mem/again")"
}

verdict()
{
	cmp "/dev/qcow2$index" "$mem/want" || fail "other content"
	dd if=/dev/zero of="/dev/qcow2$index" bs=64k seek=9 count=1 oflag=direct \
		status=none
	detach "/dev/qcow2$index"
	check_clean a.qcow2
	to_raw a.qcow2 "$mem/got"
	cmp -n $((9 * 65536)) "$mem/got" "$mem/want" || fail "QEMU reads other content"
	cmp -i $((10 * 65536)) "$mem/got" "$mem/want" ||
		fail "QEMU reads other content"
}

# How long it takes, and then the attachment, if nobody is killed.
cp dirty.qcow2 a.qcow2
is_dirty || fail "the image is not dirty"
check_status a.qcow2 2
repair_begins
wait "$pid" || fail "attach: $(<"$mem/err")"
took=$((${EPOCHREALTIME/./} - began))
verdict

rounds=${KILL_ROUNDS:-8} attached=0 dirty=0
for ((i = 0; i < rounds; i++)); do
	cp dirty.qcow2 a.qcow2
	repair_begins
	printf -v time '%d.%06d' $((took * i / rounds / 1000000)) \
		$((took * i / rounds % 1000000))
	read -r -t "$time" -u "$never" || :
	# Alone, which leaves qemu-img to itself, or both.
	if [ $((i % 2)) = 0 ]; then
		kill -KILL "$pid" || :
	else
		kill -KILL -- "-$pid" || :
	fi 2>/dev/null
	wait "$pid" 2>/dev/null || :
	if [ -e "/sys/block/qcow2$index" ]; then
		# It had come so far. A device that is there works.
		expect_state "qcow2$index" live
		attached=$((attached + 1))
	else
		! is_dirty || dirty=$((dirty + 1))
		again
	fi
	verdict
done
say "$rounds kills in $((took / 1000)) ms: $attached left a device," \
	"$dirty the image dirty"
[ "$dirty" -gt 0 ] || fail "the repair was never cut short"
read -r users </sys/module/blkqcow2/refcnt
[ "$users" = 0 ] || fail "the module has $users users"
check_usable
