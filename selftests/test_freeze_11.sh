#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a window ends with another image: overlay, commit, conversion, another disk

. "${0%/*}/lib.sh"

content 16M
qemu-img convert -f raw -O qcow2 "$raw_content" a.qcow2
attach a.qcow2
"$bin/diff_io" --dev "$dev" --seed 1 --ops 200 --depth 8 --init "$raw_content" \
	--model "$mem/m1" >/dev/null

# chain FILE...: these must be the device's layers, by name.
chain()
{
	local info i=0

	info=$(qcow2ctl info "$dev")
	[[ $info == *"layers: $#"$'\n'* ]] || fail "not $# layers: $info"
	for file; do
		[[ $info == *"layer $i:"$'\n'"  file: $disk/$file"$'\n'* ]] ||
			fail "layer $i is not $file: $info"
		i=$((i + 1))
	done
}

# An external snapshot by hand.
qcow2ctl freeze "$dev"
qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
qcow2ctl thaw --image b.qcow2 "$dev"
chain b.qcow2 a.qcow2
"$bin/diff_io" --dev "$dev" --seed 2 --ops 200 --depth 8 --init "$mem/m1" \
	--model "$mem/m2" >/dev/null
to_raw a.qcow2 "$mem/raw"
cmp "$mem/raw" "$mem/m1" || fail "the snapshot has changed"

# And with one command, under I/O.
"$bin/diff_io" --dev "$dev" --seed 3 --ops 1000 --depth 16 --init "$mem/m2" \
	--model "$mem/m3" --exec-at 400 "qcow2ctl overlay $dev $disk/c.qcow2" >/dev/null
chain c.qcow2 b.qcow2 a.qcow2
backing=$(qemu-img info -U --output json c.qcow2)
[[ $backing == *'"backing-filename": "b.qcow2"'* ]] || fail "not relative: $backing"
refused "exists" qcow2ctl overlay "$dev" b.qcow2
refused "no such file" qcow2ctl overlay "$dev" nowhere/d.qcow2
qcow2ctl overlay "$dev" -o foo=bar d.qcow2 2>/dev/null && fail "foo=bar is an option"
[ ! -e d.qcow2 ] || fail "what failed left a file"
# A name that is a protocol's to QEMU, in another directory, with a newline.
mkdir other
qcow2ctl overlay -o cluster_size=4k "$dev" $'other/d:\n1.qcow2'
"$bin/diff_io" --dev "$dev" --seed 4 --ops 200 --depth 16 --init "$mem/m3" \
	--model "$mem/m4" >/dev/null

# Committed down: the chain becomes shorter.
qcow2ctl freeze "$dev"
qemu-img commit -q -f qcow2 "$disk"/$'other/d:\n1.qcow2'
qemu-img commit -q -f qcow2 c.qcow2
qcow2ctl thaw -i b.qcow2 "$dev"
chain b.qcow2 a.qcow2
"$bin/diff_io" --dev "$dev" --seed 5 --ops 200 --depth 16 --init "$mem/m4" \
	--model "$mem/m5" >/dev/null

# Converted, to other clusters and without a chain.
qcow2ctl freeze "$dev"
qemu-img convert -f qcow2 -O qcow2 -o cluster_size=32k b.qcow2 e.qcow2
qcow2ctl thaw -i e.qcow2 "$dev"
chain e.qcow2
"$bin/diff_io" --dev "$dev" --seed 6 --ops 200 --depth 16 --init "$mem/m5" \
	--model "$mem/m6" >/dev/null

# Another disk behind the same name is found out, unless it is meant.
qcow2ctl freeze "$dev"
qemu-img create -q -f qcow2 other.qcow2 16M
ln e.qcow2 mine.qcow2
mv other.qcow2 e.qcow2
refused "stays frozen.*another file.*--image" qcow2ctl thaw "$dev"
expect_state "$dev" frozen
rm e.qcow2
refused "stays frozen.*e.qcow2.*no such file" qcow2ctl thaw "$dev"
mv mine.qcow2 e.qcow2
qcow2ctl thaw "$dev"
# A file that is only called otherwise is the same one.
qcow2ctl freeze "$dev"
mv e.qcow2 g.qcow2
qcow2ctl thaw "$dev"
chain g.qcow2

# What is not fit is refused, and the old chain is still there.
qcow2ctl freeze "$dev"
truncate -s 16M raw.img
refused "stays frozen.*not a qcow2" qcow2ctl thaw -i raw.img "$dev"
qemu-img create -q -f qcow2 -u -b nowhere.qcow2 -F qcow2 f.qcow2 16M
refused "stays frozen.*nowhere" qcow2ctl thaw -i f.qcow2 "$dev"
exec {fd}<"$dev"
qcow2ctl thaw "$dev"
exec {fd}<&-
detach "$dev"
model=$mem/m6
diff_verdict g.qcow2
