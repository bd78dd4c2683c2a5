#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# SIGKILL anywhere in qcow2ctl leaves nothing that a plain command cannot mend

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 a.qcow2 16M
qemu-img create -q -f qcow2 other.qcow2 16M
attach other.qcow2
# Another device has its I/O meanwhile, and notices nothing.
"$bin/diff_io" --dev "$dev" --seed 1 --ops 2000 --depth 4 --model "$mem/model" \
	>"$mem/other" &
other=$!
seed=${KILL_SEED:-$EPOCHSECONDS}
say "KILL_SEED=$seed"
"$bin/kill_ctl" "$disk/a.qcow2" "${KILL_ROUNDS:-60}" "$seed"
wait "$other" || fail "the other device: $(<"$mem/other")"
detach "$dev"
model=$mem/model
diff_verdict other.qcow2
device_exists && fail "a device is left"
read -r users </sys/module/blkqcow2/refcnt
[ "$users" = 0 ] || fail "the module has $users users"
# qemu-img was not killed, though it was left alone.
check_clean a.qcow2
qemu-io -f qcow2 -c "write 0 512" a.qcow2 >/dev/null
