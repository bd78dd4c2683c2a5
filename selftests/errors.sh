# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A disk on which parts can be made to fail, with an image on it, a.qcow2. For tests
# that have sourced lib.sh and patch.sh.
# shellcheck disable=SC2034,SC2154 # of which its variables are

# With blocks of $bad_block bytes, by default 512.
bad_disk()
{
	truncate -s 64M blocks
	loop=$(losetup -f --show -b "${bad_block:-512}" blocks)
	undo+=("dmsetup remove --noudevsync bad" "losetup -d $loop")
	dmsetup create bad --noudevsync --table "0 131072 linear $loop 0"
	dmsetup mknodes bad
	ln -s /dev/mapper/bad a.qcow2
}

# fresh_image OPTION...: for qemu-img create, of an image of 1 GiB.
fresh_image()
{
	rm -f new.qcow2
	qemu-img create -q -f qcow2 "$@" new.qcow2 1G
	blkdiscard -f /dev/mapper/bad 2>/dev/null
	dd if=new.qcow2 of=/dev/mapper/bad bs=1M conv=fsync,sparse status=none
}

# new_table: from standard input. One that is refused leaves the old one.
new_table()
{
	dmsetup load --noudevsync bad
	dmsetup suspend --noflush --nolockfs --noudevsync bad
	dmsetup resume --noudevsync bad
}

# Since Linux 6.5.
reads_can_fail()
{
	dmsetup load --noudevsync bad 2>/dev/null \
		--table "0 131072 flakey $loop 0 0 1 1 error_reads" || return
	dmsetup clear --noudevsync bad
}

# break_at reads|writes|all FIRST BYTES: of the disk. With "writes", flushes fail,
# too, with the others they do not.
break_at()
{
	local first=$(($2 / 512)) nr=$(($3 / 512)) target=error

	[ "$1" = all ] || target="flakey $loop $first 0 1 1 error_$1"
	{
		[ "$first" = 0 ] || echo "0 $first linear $loop 0"
		echo "$first $nr $target"
		[ $((first + nr)) = 131072 ] ||
			echo "$((first + nr)) $((131072 - first - nr)) linear $loop $((first + nr))"
	} | new_table
}

heal()
{
	echo "0 131072 linear $loop 0" | new_table
}

# pattern BYTE: a file of 64 KiB full of that, $pattern.
pattern()
{
	pattern=$mem/pattern.$1
	[ -e "$pattern" ] || head -c 65536 /dev/zero | tr '\0' "\\$1" >"$pattern"
}

# put CLUSTER BYTE: write a guest cluster, full of that.
put()
{
	pattern "$2"
	dd if="$pattern" of="$dev" bs=64k seek="$1" oflag=direct conv=notrunc \
		status=none
}

# get CLUSTER BYTE: a guest cluster must be full of that.
get()
{
	pattern "$2"
	dd if="$dev" bs=64k skip="$1" count=1 iflag=direct status=none |
		cmp -s - "$pattern" ||
		fail "cluster $1 is not full of $2"
}

# fails COMMAND...: with an input/output error.
fails()
{
	local out

	out=$("$@" 2>&1) && fail "did not fail: $*"
	[[ $out == *"Input/output error"* || $out == *"Operation not permitted"* ]] ||
		fail "failed otherwise: $*: $out"
}

flush()
{
	dd if=/dev/null of="$dev" conv=fsync,notrunc status=none
}

# Guest clusters 0 to 3 have data, all that is known of it durably; with what
# follows known, too: where the tables are.
begin()
{
	say "$*"
	shift
	fresh_image "$@"
	attach a.qcow2
	for cluster in 0 1 2 3; do
		put "$cluster" 101
	done
	detach "$dev"
	be64 40 && l1=$value
	be64 "$l1" && l2=$((value & 0x00fffffffffffe00))
	be64 48 && be64 "$value" && block=$value
	l2_entry 3 && be64 "$value" && data=$((value & 0x00fffffffffffe00))
	end=$((data + 65536))
	attach a.qcow2
}

# The image after all this, once the disk is well again.
finish()
{
	detach "$dev"
	heal
	check_copy a.qcow2
	attach a.qcow2
	for cluster in 0 1 2; do
		get "$cluster" 101
	done
	put 9 111
	flush
	get 9 111
	detach "$dev"
	check_copy a.qcow2
}

# The device has failed: it reads what it has read before, writes nothing, and
# has said so once.
expect_failed()
{
	expect_state "$dev" failed
	get 0 101
	fails put 0 102
	fails flush
	[ "$(blockdev --getro "$dev")" = 1 ] || fail "$dev is not read-only"
	[ "$(dmesg | tail -n +"$seen" | grep -c 'can no longer be written')" = 1 ] ||
		fail "it did not say once that it has failed"
}

mark_dmesg()
{
	seen=$(($(dmesg | wc -l) + 1))
}
