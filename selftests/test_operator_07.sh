#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# an image replaced, cut or deleted in a window is refused, and can be mended

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
qemu-img create -q -f qcow2 other.qcow2 16M
attach other.qcow2
other=$dev
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 300 --depth 8 --init "$raw_content" \
	--model "$mem/model" >/dev/null
qcow2ctl freeze "$dev"
cp --sparse=always a.qcow2 saved.qcow2
cp --sparse=always base.qcow2 saved.base.qcow2

# spoiled WORDS: thaw must say so; a reader waits; mended, it goes on.
spoiled()
{
	refused "$1" qcow2ctl thaw "$dev"
	expect_state "$dev" frozen
}

# The same file again: another one would be another disk.
ln a.qcow2 same.qcow2
mend()
{
	rm -rf a.qcow2 base.qcow2
	ln same.qcow2 a.qcow2
	cp --sparse=always saved.qcow2 a.qcow2
	cp --sparse=always saved.base.qcow2 base.qcow2
}

dd if="$dev" of="$mem/read" bs=1M iflag=direct status=none &
reader=$!
waits "$reader"

rm a.qcow2
spoiled "a.qcow2.*no such file"
mkdir a.qcow2
spoiled "a.qcow2.*directory"
mend
: >a.qcow2
spoiled "a.qcow2.*empty"
mend
truncate -s 65536 a.qcow2
spoiled "a.qcow2.*(end of the file|truncated)"
mend
echo "some text" >new
mv new a.qcow2
spoiled "a.qcow2.*not a qcow2"
mend
# The backing file is no better off.
rm base.qcow2
spoiled "base.qcow2.*no such file"
: >base.qcow2
spoiled "base.qcow2.*empty"
mend
cp base.qcow2 new
mv new base.qcow2
qemu-img create -q -f qcow2 -u -b a.qcow2 -F qcow2 new 16M
mv new base.qcow2
spoiled "loop"
mend
chmod 0444 a.qcow2
spoiled "a.qcow2.*read-only"
chmod 0644 a.qcow2
# In use by another device.
mv a.qcow2 gone.qcow2
ln other.qcow2 a.qcow2
spoiled "a.qcow2.*(in use|locked)"
mend
kill -0 "$reader" || wait "$reader" || fail "the reader got an error"

# A whole one in its place is another file, and may be another disk: it is what the
# name stands for from now on if somebody says so.
rm a.qcow2
cp --sparse=always saved.qcow2 a.qcow2
spoiled "another file.*--image"
qcow2ctl thaw --image a.qcow2 "$dev"
wait "$reader" || fail "the reader got an error"
cmp "$mem/read" "$mem/model" || fail "the device reads other content"
"$bin/diff_io" --dev "$dev" --seed 2 --ops 300 --depth 8 --init "$mem/model" \
	--model "$mem/model2" >/dev/null
"$bin/diff_io" --dev "$other" --seed 3 --ops 100 --depth 8 >/dev/null
detach "$dev" "$other"
model=$mem/model2
diff_verdict a.qcow2
cmp base.qcow2 saved.base.qcow2 || fail "the base has changed"
check_clean saved.qcow2
to_raw saved.qcow2 "$mem/raw"
cmp "$mem/raw" "$mem/model" || fail "the old image has changed"
check_clean other.qcow2
