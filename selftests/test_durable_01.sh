#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# what a power cut would leave: no error, all that was flushed

. "${0%/*}/lib.sh"

# Copies of the image file, each as it is at one moment in the middle of the
# I/O, as only a file system with reflinks makes them.
other_disk xfs host
cd host
kinds=(empty snapshot backed)
qemu-img create -q -f qcow2 empty.qcow2 8M
"$bin/diff_io" --make "$mem/content" --size 8M --seed 3
qemu-img convert -f raw -O qcow2 "$mem/content" snapshot.qcow2
qemu-img snapshot -c s1 snapshot.qcow2
cp snapshot.qcow2 base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 backed.qcow2

clones=$((diff_ops / 70))
for kind in "${kinds[@]}"; do
	image=$kind.qcow2
	init=()
	[ "$kind" = empty ] || init=(--init "$mem/content")
	attach "$image"
	"$bin/diff_io" --dev "$dev" --seed "$(diff_seed ${#kind})" \
		--ops "$diff_ops" --depth 16 "${init[@]}" --model "$mem/model" \
		--clone "$image" --clone-every 70 --log "$mem/log"
	detach "$dev"
	check_clean "$image"
	for ((i = 0; i < clones; i++)); do
		clone=$image.clone$i
		check_copy "$clone"
		# The others were made in the middle of a commit: for those only
		# the order in which things are written matters.
		if ((i % 2)); then
			to_raw "$clone" "$mem/clone.raw"
			"$bin/diff_io" --verify "$mem/clone.raw" --log "$mem/log" \
				--clone-nr "$i" "${init[@]}"
		fi
		rm "$clone"
	done
done
