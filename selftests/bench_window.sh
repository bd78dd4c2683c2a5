#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# how long a window takes under random writes, beside qemu-nbd stopped and started

. "${0%/*}/lib.sh"

trace=/sys/kernel/tracing
mountpoint -q $trace || mount -t tracefs tracefs $trace
seconds=${BENCH_SECONDS:-12}

# load DEVICE: random writes of 4 KiB all over it, for $seconds.
load()
{
	fio --name=load --filename="$1" --ioengine=libaio --direct=1 --rw=randwrite --bs=4k \
		--iodepth=16 --time_based --runtime="$seconds" --norandommap --randrepeat=1 \
		--output-format=json --output="$mem/fio.json" >/dev/null 2>&1 &
	load=$!
	sleep $((seconds / 3))
}

# From the trace: milliseconds between two steps of the last window.
steps()
{
	awk -v from="$1" -v to="$2" '
		/qcow2_window:/ {
			sub(/:$/, "", $4)
			for (i = 5; i < NF; i++)
				if ($(i) == "window") step = $(i + 2)
			at[step] = $4
		}
		END { printf "%.1f", (at[to] - at[from]) * 1000 }' $trace/trace
}

longest()
{
	awk -F'[:,]' '/"clat_ns"/ { clat = 1 }
		clat && /"max"/ && $2 > max { max = $2; clat = 0 }
		END { printf "%.0f", max / 1000000 }' "$mem/fio.json"
}

requests()
{
	awk -F'[:,]' '/"total_ios"/ && $2 > n { n = $2 } END { print n + 0 }' "$mem/fio.json"
}

row()
{
	printf '# %-24s %12s %12s %12s %12s %9s\n' "$@"
}

# driver NAME OPTION...: of qemu-img create.
driver()
{
	local name=$1

	shift
	rm -f a.qcow2
	qemu-img create -q -f qcow2 "${@:2}" a.qcow2 "$1"
	attach a.qcow2
	echo >$trace/trace
	echo 1 >$trace/events/qcow2/enable
	load "$dev"
	qcow2ctl window "$dev" -- qemu-img snapshot -c s1 a.qcow2
	wait "$load"
	echo 0 >$trace/events/qcow2/enable
	row "blkqcow2 $name" "$(steps freeze frozen)" "$(steps frozen thaw)" \
		"$(steps thaw live)" "$(longest)" "$(requests)"
	detach "$dev"
	check_clean a.qcow2
}

now_ms()
{
	echo "$((${EPOCHREALTIME/./} / 1000))"
}

nbd_start()
{
	qemu-nbd --aio=native --cache=none -f qcow2 --fork --pid-file="$mem/nbd.pid" \
		-c /dev/nbd0 a.qcow2
	until dd if=/dev/nbd0 of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null; do
		sleep 0.01
	done
}

nbd_stop()
{
	local pid

	pid=$(<"$mem/nbd.pid")
	kill "$pid"
	while [ -e "/proc/$pid" ]; do
		sleep 0.01
	done
}

# The load does not survive this: it is stopped before, and errors are not counted.
nbd()
{
	local name=$1 t0 t1 t2 t3

	shift
	rm -f a.qcow2
	qemu-img create -q -f qcow2 "${@:2}" a.qcow2 "$1"
	nbd_start
	load /dev/nbd0
	t0=$(now_ms)
	nbd_stop
	t1=$(now_ms)
	qemu-img snapshot -c s1 a.qcow2
	t2=$(now_ms)
	nbd_start
	t3=$(now_ms)
	wait "$load" || :
	row "qemu-nbd $name" $((t1 - t0)) $((t2 - t1)) $((t3 - t2)) "I/O errors" "$(requests)"
	nbd_stop
}

say "milliseconds; load: 4 KiB random writes, 16 at a time, all over the disk"
row "" "to frozen" "qemu-img" "to live" "longest I/O" "requests"
for size in 1G 1T 64T; do
	driver "$size" "$size"
done
driver "256G, allocated" 256G -o preallocation=metadata
if modprobe nbd 2>/dev/null; then
	mkdir -p /run/lock
	for size in 1G 1T 64T; do
		nbd "$size" "$size"
	done
else
	say "SKIP qemu-nbd: there is no nbd module"
fi
