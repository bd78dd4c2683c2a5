#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A virtual machine boots Linux from the device, and a window is opened meanwhile

. "${0%/*}/lib.sh"

kernel=/boot/vmlinuz-$(uname -r)
[ -r "$kernel" ] || skip "no $kernel"
# An emulator in an emulator.
[ -w /dev/kvm ] || [ -n "${SLOW_TESTS-}" ] ||
	skip "takes minutes without /dev/kvm (SLOW_TESTS=1)"
for program in qemu-system-x86_64 extlinux busybox cpio sfdisk; do
	command -v "$program" >/dev/null || skip "no $program"
done
for mbr in /usr/{lib/EXTLINUX,share/syslinux,lib/syslinux/bios}/mbr.bin; do
	[ ! -e "$mbr" ] || break
done
[ -e "$mbr" ] || skip "no mbr.bin of syslinux"

# put_busybox DIRECTORY
put_busybox()
{
	cp -L "$(command -v busybox)" "$1/busybox"
	ln -s busybox "$1/sh"
}

# What the kernel of the guest needs before it has a root.
make_ramdisk()
{
	local file number=0 name

	mkdir -p "$mem"/ramdisk/{bin,dev,root}
	put_busybox "$mem/ramdisk/bin"
	while read -r file; do
		printf -v name %03d.ko $((number++))
		case $file in
		*.zst)	zstd -dc "$file" ;;
		*)	xz -dcf "$file" ;;
		esac >"$mem/ramdisk/$name"
	done < <(modprobe -a --show-depends virtio_pci virtio_blk ext4 |
		awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
	cat >"$mem/ramdisk/init" <<'END'
#!/bin/sh
busybox mount -t devtmpfs dev /dev
for module in /*.ko; do
	busybox insmod $module
done
busybox mount -t ext4 /dev/vda1 /root
exec busybox switch_root /root /bin/init
END
	chmod +x "$mem/ramdisk/init"
	(cd "$mem/ramdisk" && find . | cpio --quiet -o -H newc) | gzip -1
}

# make_root: the guest's file system at $mem/root. It reads what it has got, and
# writes.
make_root()
{
	local root=$mem/root

	mkdir "$root"/{bin,boot,dev,proc}
	put_busybox "$root/bin"
	cat >"$root/bin/init" <<'END'
#!/bin/sh
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
echo "the guest is up" >/dev/ttyS0
busybox cat /content >/copy
busybox uname -r >/release
busybox sync
busybox mount -o remount,ro /
echo "the guest is done" >/dev/ttyS0
echo o >/proc/sysrq-trigger
busybox sleep 1000
END
	chmod +x "$root/bin/init"
	cp "$raw_content" "$root/content"
	cp "$kernel" "$root/boot/linux"
	make_ramdisk >"$root/boot/ramdisk"
	cat >"$root/boot/extlinux.conf" <<'END'
default linux
label linux
	linux /boot/linux
	initrd /boot/ramdisk
	append console=ttyS0 panic=-1 mitigations=off
END
}

# As people who make images do it.
make_base()
{
	qemu-img create -q -f qcow2 base.qcow2 160M
	attach base.qcow2
	printf 'label: dos\nstart=2048,type=83,bootable\n' | sfdisk -q "$dev"
	dd if="$mbr" of="$dev" conv=fsync status=none
	# Of what is not named here its reader knows all.
	mkfs.ext4 -q -O ^64bit,^metadata_csum "${dev}p1"
	mount_at "$mem/root" "${dev}p1"
	make_root
	extlinux --install "$mem/root/boot" 2>"$mem/extlinux" || fail "$(<"$mem/extlinux")"
	unmount "$mem/root"
	detach "$dev"
	check_clean base.qcow2
}

guest_says()
{
	grep -qs "$1" "$mem/serial"
}

# While the guest copies, of which it cannot see the end before it is over.
window()
{
	until guest_says 'the guest is up'; do
		kill -0 "$guest" 2>/dev/null ||
			fail "QEMU: $(<"$mem/qemu") $(tail -n 5 "$mem/serial")"
		sleep 0.1
	done
	qcow2ctl freeze "$dev"
	qemu-img snapshot -c booting a.qcow2
	sleep 10
	! guest_says 'the guest is done' || fail "the guest has not waited"
	qcow2ctl thaw "$dev"
}

content 8M
make_base
sum=$(sha256sum <base.qcow2)
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2
attach a.qcow2
read -ra qemu <<<"${QEMU:-qemu-system-x86_64}"
"${qemu[@]}" -nodefaults -no-user-config -display none -no-reboot \
	-machine pc -accel kvm -accel tcg -cpu max -m 256 \
	-serial "file:$mem/serial" \
	-drive "if=none,id=disk,file=$dev,format=raw,cache=none,aio=native" \
	-device virtio-blk-pci,drive=disk >"$mem/qemu" 2>&1 &
guest=$!
window
wait "$guest" || fail "QEMU: status $?: $(<"$mem/qemu")"
guest_says 'the guest is done' || fail "the guest: $(tail -n 20 "$mem/serial")"
detach "$dev"
check_clean a.qcow2
[ "$(sha256sum <base.qcow2)" = "$sum" ] || fail "the base has been written to"

# What the guest has done, as QEMU and a loop device show it.
to_raw a.qcow2 a.raw
e2fsck -fn "a.raw?offset=1048576" >"$mem/e2fsck" 2>&1 || fail "$(<"$mem/e2fsck")"
mount_at "$mem/root" -o ro,loop,offset=1M a.raw
cmp "$raw_content" "$mem/root/copy" || fail "the guest has copied something else"
[ "$(<"$mem/root/release")" = "$(uname -r)" ] || fail "another kernel has been booted"
unmount "$mem/root"
