#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# what is to be seen of a window: events, sysfs, info, tracepoints, no complaints

. "${0%/*}/lib.sh"

udevadm monitor --kernel --property >"$mem/events" &
monitor=$!
qemu-img create -q -f qcow2 a.qcow2 32M
attach a.qcow2
trace=/sys/kernel/tracing
mountpoint -q $trace || mount -t tracefs tracefs $trace
echo 1 >$trace/events/qcow2/enable

# event WORDS: one must come that has them all, in ten seconds.
event()
{
	local i text word all

	for ((i = 0; i < 100; i++)); do
		while IFS= read -r -d '' text; do
			all=1
			for word; do
				[[ $text == *"$word"* ]] || all=0
			done
			[ "$all" = 0 ] || return 0
		done < <(sed 's/^$/\x0/' "$mem/events"; printf '\0')
		sleep 0.1
	done
	fail "no event with $*: $(<"$mem/events")"
}

name=${dev#/dev/}
qcow2ctl freeze "$dev"
event "qcow2-control" "QCOW2_DEVICE=$name" QCOW2_STATE=frozen
sleep 1.2
read -r ms <"/sys/block/$name/qcow2/frozen_ms"
[ "$ms" -ge 1000 ] || fail "frozen for $ms ms only"
[[ $(qcow2ctl info "$dev") =~ frozen-seconds:\ [1-9] ]] || fail "info says nothing of it"
qemu-img resize -q -f qcow2 a.qcow2 64M
qcow2ctl thaw "$dev"
event "qcow2-control" "QCOW2_DEVICE=$name" QCOW2_STATE=live
event "/block/$name" QCOW2_STATE=live
event "/block/$name" RESIZE=1
read -r ms <"/sys/block/$name/qcow2/frozen_ms"
[ "$ms" = 0 ] || fail "live, and frozen for $ms ms"
qcow2ctl freeze -t 1 --on-timeout fail "$dev"
event "qcow2-control" "QCOW2_DEVICE=$name" QCOW2_STATE=failed
read -r reason <"/sys/block/$name/qcow2/reason"
[[ $reason == *"not closed in time"* ]] || fail "the reason is '$reason'"
qcow2ctl thaw "$dev"
kill "$monitor"

echo 0 >$trace/events/qcow2/enable
steps=$(sed -n 's/.*qcow2_window: .* window \([0-9]*\) \(.*\) ret \(.*\)/\1 \2 \3/p' $trace/trace |
	awk '{ if (NR == 1) first = $1 - 1; $1 -= first; print }')
want="1 freeze 0
1 fs-frozen 0
1 requests-held 0
1 settled 0
1 frozen 0
1 thaw 0
1 opened 0
1 live 0
2 freeze 0
2 fs-frozen 0
2 requests-held 0
2 settled 0
2 frozen 0
2 failed 0
2 thaw 0
2 opened 0
2 live 0"
[ "$steps" = "$want" ] || fail "traced: $steps"

# Frozen for longer than the kernel lets tasks wait: nothing of the driver's is
# found waiting, and who does direct I/O is not either.
limit=/proc/sys/kernel/hung_task_timeout_secs
[ -e $limit ] || exit 0
set_limit()
{
	echo "$1" >$limit
}
undo+=("set_limit $(<$limit)")
set_limit 4
qcow2ctl freeze "$dev"
dd if="$dev" of="$mem/read" bs=64k count=1 iflag=direct status=none &
reader=$!
qcow2ctl freeze "$dev" 2>/dev/null && fail "frozen twice"
sleep 10
dmesg | grep -q "blocked for more than" && fail "$(dmesg | grep -A8 'blocked for more')"
qcow2ctl thaw "$dev"
wait "$reader"
detach "$dev"
