#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a processor goes while a request from it waits for the end of a window

. "${0%/*}/lib.sh"

online=/sys/devices/system/cpu/cpu1/online
[ -e "$online" ] || skip "there is no processor that could go"
qemu-img create -q -f qcow2 a.qcow2 64M
attach a.qcow2
qcow2ctl freeze "$dev"
taskset -c 1 dd if=/dev/urandom of="$dev" bs=64k count=16 oflag=direct conv=notrunc \
	status=none &
writer=$!
sleep 0.5
waits "$writer"
(echo 0 >"$online") &
cpu=$!
ends "$cpu" 10 || late=1
qcow2ctl thaw "$dev"
wait "$writer" || fail "the write has failed"
wait "$cpu"
echo 1 >"$online"
[ -z "${late-}" ] || fail "the processor waits for the end of the window"
detach "$dev"
check_clean a.qcow2
