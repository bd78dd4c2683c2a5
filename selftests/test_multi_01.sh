#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# two images under I/O at once

. "${0%/*}/lib.sh"

content 16M
qemu-img create -q -f qcow2 a.qcow2 16M
qemu-img convert -f raw -O qcow2 "$raw_content" b.qcow2
attach a.qcow2
a=$dev
attach b.qcow2
b=$dev
"$bin/diff_io" --dev "$a" --seed 1 --ops 1000 --depth 32 --model "$mem/a" &
first=$!
"$bin/diff_io" --dev "$b" --seed 2 --ops 1000 --depth 32 --init "$raw_content" \
	--model "$mem/b" --exec-at 500 \
	"qcow2ctl window $b -- qemu-img snapshot -c s1 $disk/b.qcow2" &
second=$!
wait "$first"
wait "$second"
detach "$a" "$b"
model=$mem/a
diff_verdict a.qcow2
model=$mem/b
diff_verdict b.qcow2
