#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a truncated image is refused, or its reads fail; never worse

. "${0%/*}/lib.sh"

content 32M
qemu-img convert -f raw -O qcow2 "$raw_content" whole.qcow2
size=$(stat -c %s whole.qcow2)
# Header, refcount table, refcount block, L1 table, L2 table: a cluster each.
for length in 4 71 72 103 104 111 112 511 4096 65536 $((65536 + 8)) 131072 196608; do
	head -c "$length" whole.qcow2 >cut.qcow2
	refused "cut.qcow2.*(truncated|short|end of (the )?file|beyond|ends)" \
		qcow2ctl attach cut.qcow2
	refused "cut.qcow2.*(truncated|short|end of (the )?file|beyond|ends)" \
		qcow2ctl attach -r cut.qcow2
done
# Further on only parts of the content are missing. Whoever attaches such an
# image must not read anything that was never in it.
for length in $((4 * 65536)) $((5 * 65536)) $((size / 2)) $((size - 65536)); do
	head -c "$length" whole.qcow2 >cut.qcow2
	status=0
	dev=$(qcow2ctl attach -r cut.qcow2 2>"$mem/err") || status=$?
	mapfile -t lines <"$mem/err"
	if [ "$status" != 0 ]; then
		[ ${#lines[@]} = 1 ] || fail "said in ${#lines[@]} lines: ${lines[*]}"
		continue
	fi
	say "$length of $size bytes are enough to be attached"
	dd if="$dev" of="$mem/read" bs=64k iflag=direct conv=noerror,sync \
		2>"$mem/dd" || :
	[[ $(<"$mem/dd") == *"Input/output error"* ]] ||
		fail "cut to $length: all of it can be read"
	detach "$dev"
done
check_usable
