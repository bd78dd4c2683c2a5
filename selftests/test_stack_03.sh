#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# swap on the device, with a window while it is swapped to

. "${0%/*}/lib.sh"

cgroup=/sys/fs/cgroup/stack

# Of 40 MiB so many are to stay in memory. No hard limit (memory.max): the kernel
# kills for it once all that is left is on its way to a swap that waits.
mkdir "$cgroup" 2>/dev/null || skip "no cgroups"
undo+=("rmdir $cgroup")
[ -e "$cgroup/memory.high" ] || skip "no memory cgroup"
echo 24M >"$cgroup/memory.high"

# eater: fills its memory, and finds in it what it has put there.
eater()
{
	echo "$BASHPID" >"$cgroup/cgroup.procs"
	exec perl -e '
		my @pages = map { pack("N", $_) x 1024 } 1 .. 10240;
		for my $i (1 .. 10240) {
			$pages[$i - 1] eq pack("N", $i) x 1024
				or die "page $i is another\n";
		}'
}

swapped()
{
	local used

	read -r _ _ _ used _ < <(grep "^$dev" /proc/swaps) || :
	[ "${used:-0}" -ge "$1" ]
}

qemu-img create -q -f qcow2 a.qcow2 128M
attach a.qcow2
mkswap "$dev" >/dev/null
swapon "$dev"
undo+=("swapoff $dev")
(trap - ERR EXIT; eater) &
pid=$!
until swapped 8000; do
	kill -0 "$pid" 2>/dev/null || fail "it has ended and nothing was swapped"
	sleep 0.1
done
qcow2ctl window "$dev" -- qemu-img snapshot -c s1 a.qcow2
wait "$pid" || fail "what was swapped is not what it was, or: $(xargs <"$cgroup/memory.events")"
say "swapped: $(grep "^$dev" /proc/swaps || :)"
swapoff "$dev"
undo=("${undo[0]}")
detach "$dev"
check_clean a.qcow2
