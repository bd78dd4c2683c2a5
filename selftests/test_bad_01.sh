#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# what is no QCOW2 image at all is refused

. "${0%/*}/lib.sh"

truncate -s 1M zeroes
: >empty
echo "just some text" >text
printf 'QFI' >three
printf 'QFI\373' >magic
mkdir directory
mkfifo fifo
ln -s nowhere dangling
ln -s loop loop
for image in zeroes text three; do
	refused "$image.*not a qcow2" qcow2ctl attach "$image"
	refused "$image.*not a qcow2" qcow2ctl attach -r "$image"
done
refused "empty.*not a qcow2" qcow2ctl attach empty
refused "magic.*(short|truncated|end)" qcow2ctl attach magic
refused "directory.*is a directory" qcow2ctl attach directory
refused "directory.*is a directory" qcow2ctl attach -r directory
refused "fifo.*is a fifo" qcow2ctl attach fifo
refused "null.*is a character device" qcow2ctl attach /dev/null
refused "absent.*no such file" qcow2ctl attach absent
refused "dangling.*no such file" qcow2ctl attach dangling
refused "loop.*(symbolic links|loop)" qcow2ctl attach loop
refused "zeroes/x.*no such file" qcow2ctl attach zeroes/x
refused "no image" qcow2ctl attach
refused "only one image" qcow2ctl attach empty text
qemu-img create -q -f vdi vdi 1M
qemu-img create -q -f vmdk vmdk 1M
refused "vdi.*not a qcow2" qcow2ctl attach vdi
refused "vmdk.*not a qcow2" qcow2ctl attach vmdk
# A newline in a name must not make two lines of one.
printf -v name 'two\nlines'
: >"$name"
refused "not a qcow2" qcow2ctl attach "$name"
check_usable
