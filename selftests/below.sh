# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Images on other file systems than ext4. For tests that have sourced lib.sh.
# shellcheck disable=SC2034,SC2154 # of which its variables are

# One round is enough where only the file system is another one.
diff_seeds=1
diff_ops=400

# host_disk FSTYPE MKFS_OPTION...: a file system on a loop device at host/.
host_disk()
{
	local type=$1

	shift
	truncate -s 1G below
	"mkfs.$type" -q "$@" below 2>/dev/null
	mount_at host -o "loop${mount_options:+,$mount_options}" below
}

# expect_buffered 0|1 IMAGE: does the driver say that a file takes no direct
# I/O?
expect_buffered()
{
	local found

	attach "$2"
	found=$(qcow2ctl info --noheadings --raw --output BUFFERED "$dev")
	detach "$dev"
	say "$2: buffered: $found"
	[ "$found" = "$1" ] || fail "$2: buffered is '$found', not '$1'"
}

# window_in IMAGE: a snapshot in a window in the middle of random I/O, and then
# what QEMU thinks of it.
window_in()
{
	attach "$1"
	"$bin/diff_io" --dev "$dev" --seed "$(diff_seed 50)" --ops "$diff_ops" \
		--depth 16 --buffered 10 --init "$init" --model "$mem/model.window" \
		--exec-at 150 "qcow2ctl window $dev -- qemu-img snapshot -c s1 $PWD/$1" \
		>/dev/null
	detach "$dev"
	model=$mem/model.window
	diff_verdict "$1"
}

# try_image BUFFERED IMAGE: all of it, to an image with the 16 MiB of content.
try_image()
{
	expect_buffered "$1" "$2"
	# Other operations each time.
	DIFF_SEED=$((${DIFF_SEED:-0} + 10))
	init=$raw_content
	diff_image "$2"
	init=$model
	window_in "$2"
}

# new_image IMAGE [OPTION]...
new_image()
{
	content 16M
	qemu-img convert -f raw -O qcow2 "${@:2}" "$raw_content" "$1"
}

# An image and a reflinked copy of it, plain.qcow2 and copy.qcow2: I/O to the one
# leaves the other alone.
try_reflinked()
{
	local sum

	new_image plain.qcow2
	cp --reflink=always plain.qcow2 copy.qcow2
	sum=$(sha256sum <copy.qcow2)
	try_image 0 plain.qcow2
	[ "$sum" = "$(sha256sum <copy.qcow2)" ] || fail "the reflinked copy has changed"
	try_image 0 copy.qcow2
}
