#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of qcow2-generator, in the current directory: generator_test.sh GENERATOR
# shellcheck disable=SC2016 # systemd expands, or not

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
generator=$1
out=''
export QCOW2TAB=$PWD/qcow2tab FSTAB=$PWD/fstab
: >fstab

# generate LINE...: the table has these; what is made is in units/
generate()
{
	rm -rf units
	mkdir units
	printf '%s\n' "$@" >"$QCOW2TAB"
	why=
	sh "$generator" units early late 2>err || why="status $?"
	err=$(<err)
}

# line UNIT TEXT: is one of the unit's
line()
{
	grep -qxF -- "$2" "units/$1" 2>/dev/null || why="$why; $1 has no '$2'"
}

# exists FILE...
exists()
{
	local file

	for file; do
		[ -e "units/$file" ] || why="$why; no $file"
	done
}

missing()
{
	[ ! -e "units/$1" ] && [ ! -L "units/$1" ] || why="$why; $1 is there"
}

dev='dev-disk-by\x2dqcow2'

generate '# data /x.qcow2' '' 'data /srv/data.qcow2'
line qcow2@data.service 'ExecStart=@sbindir@/qcow2ctl attach -- "/srv/data.qcow2"'
line qcow2@data.service 'ExecStop=@libexecdir@/qcow2-detach /dev/disk/by-qcow2/data'
line qcow2@data.service 'RequiresMountsFor="/srv/data.qcow2"'
line qcow2@data.service 'Before=local-fs.target'
line qcow2@data.service "Before=umount.target blockdev@$dev-data.target"
exists local-fs.target.wants/qcow2@data.service \
	"$dev-data.device.requires/qcow2@data.service" \
	"$dev-data.device.d/40-device-timeout.conf"
has "$err" ''; result "a plain line"

generate 'a@b-c /im\040a$g%e"s\134x/d.qcow2 ro,cache-size=4M,x-any,x-systemd.requires-mounts-for=/a\040b'
line 'qcow2@a\x40b\x2dc.service' \
	'ExecStart=@sbindir@/qcow2ctl attach --read-only "--cache-size=4M" -- "/im a$$g%%e\"s\\x/d.qcow2"'
line 'qcow2@a\x40b\x2dc.service' 'RequiresMountsFor="/im a$g%%e\"s\\x/d.qcow2" "/a b"'
line 'qcow2@a\x40b\x2dc.service' 'ExecStop=@libexecdir@/qcow2-detach /dev/disk/by-qcow2/a@b-c'
exists 'local-fs.target.wants/qcow2@a\x40b\x2dc.service'
has "$err" ''; result "characters that mean something to systemd"

generate 'a /a noauto' 'b /b nofail' 'c /c _netdev'
missing local-fs.target.wants/qcow2@a.service
exists "$dev-a.device.requires/qcow2@a.service" local-fs.target.wants/qcow2@b.service \
	remote-fs.target.wants/qcow2@c.service
missing local-fs.target.wants/qcow2@c.service
! grep -q '^Before=local-fs.target' units/qcow2@b.service || why="$why; b is waited for"
line qcow2@c.service 'Before=remote-fs.target'
has "$err" ''; result "noauto, nofail, _netdev"

generate '12 /x' 'a/b /x' '.a /x' 'a relative' 'b' 'c /x\012y' 'd /d' 'd /e' 'e /e'
has "$err" '*:1: 12: a number*:2: a/b: a name has*:3: .a: a name*:4: a: no abs*:5: b: no abs*:6: c: control*:8: d: is there*'
line qcow2@d.service 'ExecStart=@sbindir@/qcow2ctl attach -- "/d"'
exists qcow2@e.service
for name in 12 .a a b c; do
	missing "qcow2@$name.service"
done
result "lines that are refused"

long=$(printf 'l%.0s' {1..205})
generate 'bad -x' 'help /x help' "$long /x" 'typo /x read-onyl,noauto' 'index /x index=' \
	'good /g no-repair,on-enospc=park,index=7'
has "$err" '*:1: bad: no abs*:2: help: no such option: help*:3: l*too long*:4: typo: no such option: read-onyl*:5: index: no such*'
line qcow2@good.service \
	'ExecStart=@sbindir@/qcow2ctl attach "--no-repair" "--on-enospc=park" "--index=7" -- "/g"'
[ "$(echo units/*.service)" = units/qcow2@good.service ] || why="$why; made $(echo units/*)"
result "a bad line is no harm to those after it"

printf '%s\n' 'LABEL=x /y ext4' '/dev/disk/by-qcow2/a.b-part2	/mnt ext4 noauto 0 2' \
	'/dev/disk/by-qcow2/a.b-part12 /m ext4' '/dev/disk/by-qcow2/aXb-part3 /n ext4' >fstab
generate 'a.b /a noauto'
for part in '' '\x2dpart2' '\x2dpart12'; do
	exists "$dev-a.b$part.device.requires/qcow2@a.b.service" \
		"$dev-a.b$part.device.d/40-device-timeout.conf"
done
line qcow2@a.b.service "Before=umount.target blockdev@$dev-a.b.target blockdev@$dev-a.b\\x2dpart12.target blockdev@$dev-a.b\\x2dpart2.target"
line qcow2@a.b.service "Wants=modprobe@blkqcow2.service blockdev@$dev-a.b.target blockdev@$dev-a.b\\x2dpart12.target blockdev@$dev-a.b\\x2dpart2.target"
[ "$(find units -name '*part*.d' | wc -l)" = 2 ] || why="$why; $(find units -name '*part*')"
has "$err" ''; result "partitions of fstab"
: >fstab

printf 'z /z' >"$QCOW2TAB"
rm -rf units && mkdir units && why= && sh "$generator" units
exists qcow2@z.service; result "a last line without an end"

rm "$QCOW2TAB"
rm -rf units && mkdir units
why=; sh "$generator" units || why="status $?"
[ -z "$(ls units)" ] || why="$why; made $(ls units)"; result "no table"

echo "1..$nr"
exit $failed
