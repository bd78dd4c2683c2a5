#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# windows, detaches, SIGKILL at random times, with I/O to three devices

. "${0%/*}/lib.sh"
. "$test_dir/leak.sh"
. "$test_dir/stress.sh"

seconds=${STRESS_SECONDS:-60}
seed=${STRESS_SEED:-$EPOCHSECONDS}
say "STRESS_SEED=$seed STRESS_SECONDS=$seconds"
stress_setup "$seed"
if [ "$seconds" -lt 600 ]; then
	stress "$seconds"
	say "$summary"
else
	# Something is allocated only once, something else now and then; what is
	# leaked grows in both halves.
	stress $((seconds / 5))
	say "$summary"
	compare 1
	for half in 1 2; do
		stress $((seconds * 2 / 5))
		say "$summary"
		first=$grown
		compare "$attached"
		say "grown in half $half: $grown"
	done
	for name in $first; do
		[[ $grown != *" $name "* ]] || fail "$name grows with the attachments"
	done
fi
device_exists && fail "a device is left"

ko=$(find /run/vm -name 'blkqcow2.ko')
rmmod blkqcow2
insmod "$ko"
check_usable
