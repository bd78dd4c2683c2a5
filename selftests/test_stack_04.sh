#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU boots a virtual machine from the device

. "${0%/*}/lib.sh"

for program in qemu-system-x86_64 as objcopy; do
	command -v "$program" >/dev/null || skip "no $program"
done

# A whole system (stack_06) takes minutes in a machine that is emulated itself: this
# one, all in a boot sector, reads 32 KiB by the BIOS's virtio driver and
# writes them elsewhere. Its exit status is QEMU's.
cat >"$mem/boot.s" <<'END'
	.code16
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	$0x7c00 + packet, %si
	movb	$0x42, %ah		# read
	int	$0x13
	jc	failed
	movw	$4096, 0x7c00 + block
	movw	$0x4300, %ax		# write
	int	$0x13
	jc	failed
	movb	$0x10, %al
	jmp	end
failed:	movb	$0x20, %al
end:	movw	$0x501, %dx		# isa-debug-exit
	outb	%al, %dx
	hlt
packet:	.word	16, 64, 0, 0x1000
block:	.quad	64
	.org	510
	.word	0xaa55
END
as --32 -o "$mem/boot.o" "$mem/boot.s"
objcopy -O binary -j .text "$mem/boot.o" "$mem/boot"
content 16M
qemu-img create -q -f qcow2 a.qcow2 16M
attach a.qcow2
dd if="$mem/boot" of="$dev" status=none
dd if="$raw_content" of="$dev" bs=32k skip=3 seek=1 count=1 conv=fsync status=none

boot()
{
	status=0
	timeout 100 qemu-system-x86_64 -nodefaults -no-user-config -display none \
		-machine pc -accel tcg -m 32 -boot c \
		-device isa-debug-exit,iobase=0x501 \
		-drive "if=none,id=disk,file=$dev,format=raw,cache=none,aio=$1" \
		-device virtio-blk-pci,drive=disk >"$mem/qemu" 2>&1 || status=$?
	# Twice what was put out, and one.
	[ "$status" = 33 ] || fail "QEMU: status $status: $(<"$mem/qemu")"
}

boot native
sync "$dev"
cmp -n 32k -i "96k:2M" "$raw_content" "$dev" || fail "the guest wrote something else"
detach "$dev"
check_clean a.qcow2
to_raw a.qcow2 "$mem/raw"
cmp -n 32k -i "96k:2M" "$raw_content" "$mem/raw" || fail "the image has something else"
