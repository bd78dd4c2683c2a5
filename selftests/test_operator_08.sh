#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# an image cut, overwritten or deleted while it is live: errors, no destruction

. "${0%/*}/lib.sh"

content 16M
qemu-img create -q -f qcow2 other.qcow2 16M
attach other.qcow2
other=$dev

# victim: a device with content of which nothing is in the cache yet.
victim()
{
	rm -f a.qcow2
	qemu-img convert -f raw -O qcow2 "$raw_content" a.qcow2
	attach a.qcow2
}

write()
{
	dd if=/dev/urandom of="$dev" bs=64k seek="$1" count="$2" oflag=direct \
		conv=fsync 2>"$mem/dd"
}

# read_back: what can be read must be what was there; some of it cannot.
read_back()
{
	local i missing=0

	for i in 0 7 100 200 255; do
		if dd if="$dev" of="$mem/read" bs=64k skip="$i" count=1 \
		      iflag=direct 2>"$mem/dd"; then
			cmp -n 65536 -i "0:$((i * 65536))" "$mem/read" "$raw_content" ||
				fail "cluster $i has become something else"
		else
			[[ $(<"$mem/dd") == *"Input/output error"* ]] ||
				fail "said '$(<"$mem/dd")'"
			missing=$((missing + 1))
		fi
	done
	[ "$missing" != 0 ] || fail "all of it can be read"
}

# hurt: it has been noticed, and the other device is as well as before.
hurt()
{
	local before

	expect_state "$dev" failed
	[[ $(dmesg) == *"${dev#/dev/}"*"can no longer be written"* ]] ||
		fail "not a word of it in the kernel's log"
	dmesg -C
	write 0 1 && fail "the device still takes writes"
	refused "failed" qcow2ctl freeze "$dev"
	"$bin/diff_io" --dev "$other" --seed 3 --ops 50 --depth 8 >/dev/null
	dd if=/dev/zero of="$other" bs=1M count=16 oflag=direct status=none
	before=$(sha256sum a.qcow2)
	detach "$dev"
	[ "$before" = "$(sha256sum a.qcow2)" ] || fail "detach has changed the file"
}

dmesg -C
# Down to nothing.
victim
: >a.qcow2
read_back
write 200 8 && fail "writes to an empty file go through"
hurt

# half: cut in the middle, after all of its map has been read.
half()
{
	local size

	victim
	size=$(stat -c %s a.qcow2)
	dd if="$dev" of=/dev/null bs=64k iflag=direct status=none
	truncate -s $((size / 2)) a.qcow2
	read_back
}

# What is gone must not come back as zeroes because something behind it is
# written, and no window, no detach may call the rest an image.
half
write 240 1 && fail "a write behind the end of the file goes through"
read_back
hurt
for how in freeze detach; do
	half
	qcow2ctl "$how" "$dev" 2>"$mem/err" && fail "$how takes it for an image"
	[[ $(<"$mem/err") == *"${dev#/dev/}"*"cannot be written"* ]] ||
		fail "$how said '$(<"$mem/err")'"
	hurt
done

# Its data file.
rm -f a.qcow2
qemu-img create -q -f qcow2 -o "data_file=$disk/data.raw" a.qcow2 16M
attach a.qcow2
write 0 256
truncate -s 1M data.raw
write 17 1 && fail "a write behind the end of the data file goes through"
hurt

# Metadata overwritten: it is found when it is read. The part of the map for
# the first 32 MiB is in memory, for partitions have been looked for.
rm -f a.qcow2
qemu-img convert -f raw -O qcow2 "$raw_content" a.qcow2
qemu-img resize -q a.qcow2 64M
attach a.qcow2
head -c 1M /dev/zero | tr '\0' '*' |
	dd of=a.qcow2 bs=64k iflag=fullblock conv=notrunc status=none
write 640 1 && fail "what it reads now is not an image"
hurt

# Deleted or replaced, itself or what is below it: it is still the device's, but
# no window would find it again, or find something else.
rm -f a.qcow2
cp "$raw_content" base.raw
qemu-img create -q -f qcow2 -b base.raw -F raw a.qcow2
attach a.qcow2
write 5 4
dd if="$dev" of="$mem/before" bs=1M iflag=direct status=none
qemu-img create -q -f qcow2 new.qcow2 16M
cp new.qcow2 new.raw
for spoil in "mv new.raw base.raw" "mv new.qcow2 a.qcow2" "rm a.qcow2"; do
	$spoil
	refused "(a.qcow2|base.raw).*deleted or replaced" qcow2ctl freeze "$dev"
	refused "(a.qcow2|base.raw).*deleted or replaced" \
		qcow2ctl window "$dev" -- true
	[ "$status" = 125 ] || fail "window: status $status"
	expect_state "$dev" live
	dd if="$dev" of="$mem/read" bs=1M iflag=direct status=none
	cmp "$mem/read" "$mem/before" || fail "the content has changed"
done
detach "$dev" "$other"
check_clean other.qcow2
check_usable
