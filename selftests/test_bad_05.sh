#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# a backing file that cannot be used is refused

. "${0%/*}/lib.sh"

qemu-img create -q -f qcow2 base.qcow2 8M
truncate -s 8M base.raw

# overlay FORMAT NAME: an image that says so, whatever is there.
overlay()
{
	qemu-img create -q -f qcow2 -u -b "$2" ${1:+-F "$1"} a.qcow2 8M
}

overlay qcow2 absent.qcow2
refused "absent.qcow2.*no such file.*backing file of a.qcow2" qcow2ctl attach a.qcow2
refused "absent.qcow2.*no such file" qcow2ctl attach -r a.qcow2
overlay qcow2 base.raw
refused "base.raw.*not a qcow2" qcow2ctl attach a.qcow2
overlay raw .
refused "directory" qcow2ctl attach a.qcow2
overlay vdi base.raw
refused "base.raw.*vdi" qcow2ctl attach a.qcow2
overlay qcow2 nbd://localhost:10809/x
refused "nbd" qcow2ctl attach a.qcow2
overlay qcow2 'json:{"driver":"qcow2","file":{"driver":"file","filename":"base.qcow2"}}'
refused "json" qcow2ctl attach a.qcow2
# Its own base, under another name.
overlay qcow2 self.qcow2
ln a.qcow2 self.qcow2
refused "self.qcow2.*loop" qcow2ctl attach a.qcow2
rm a.qcow2 self.qcow2
qemu-img create -q -f qcow2 -u -b a.qcow2 -F qcow2 b.qcow2 8M
overlay qcow2 b.qcow2
refused "loop" qcow2ctl attach a.qcow2
# Version 2 had no field for it, and old tools did not write it.
overlay qcow2 base.qcow2
qemu-img rebase -u -b base.qcow2 -F '' a.qcow2 2>/dev/null || :
case $(qemu-img info a.qcow2) in
*"backing file format"*) say "qemu-img always records the format" ;;
*) refused "base.qcow2.*no format" qcow2ctl attach a.qcow2 ;;
esac
# The second layer of three.
overlay qcow2 middle.qcow2
qemu-img create -q -f qcow2 -u -b absent.raw -F raw middle.qcow2 8M
refused "absent.raw.*no such file.*middle.qcow2" qcow2ctl attach a.qcow2
: >absent.raw
attach a.qcow2
detach "$dev"
check_usable
