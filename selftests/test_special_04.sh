#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 64 layers of all cluster sizes; 256 are the most

. "${0%/*}/lib.sh"

# A layer of each cluster size, on a backing file whose name will be changed.
bits=(9 10 11 12 13 14 15 16 17 18)
for b in "${bits[@]}"; do
	qemu-img create -q -u -f qcow2 -F qcow2 -b 000.qcow2 \
		-o "cluster_size=$((1 << b))" "like.$b" 8M
done

# layers FIRST LAST CLUSTER_BITS...: each on the one before.
layers()
{
	perl -e '
		my ($first, $last, @bits) = @ARGV;
		for my $nr ($first .. $last) {
			my $bits = $bits[$nr % @bits];
			if (!defined $like{$bits}) {
				open my $in, "<", "like.$bits" or die;
				local $/;
				$like{$bits} = <$in>;
			}
			my $image = $like{$bits};
			my ($at, $len) = unpack "Q>L>", substr $image, 8, 12;
			substr($image, $at, $len) = sprintf "%03d.qcow2", $nr - 1;
			open my $out, ">", sprintf "%03d.qcow2", $nr or die;
			truncate $out, length $image;
			for (my $pos = 0; $pos < length $image; $pos += 65536) {
				my $part = substr $image, $pos, 65536;
				next if $part =~ /^\0*$/;
				sysseek $out, $pos, 0;
				syswrite $out, $part;
			}
		}' "$@"
}

qemu-img create -q -f qcow2 -o cluster_size=4k 000.qcow2 8M
layers 1 63 "${bits[@]}"
# One cluster in each, where no other layer has one: all by one process, and
# without the layers below, as whole clusters are written.
commands=() end=0
for ((nr = 0; nr < 64; nr++)); do
	b=12
	[ "$nr" = 0 ] || b=${bits[nr % ${#bits[@]}]}
	at=$(((end + (1 << b) - 1) >> b << b))
	end=$((at + (1 << b)))
	json='json:{"driver":"qcow2","backing":null,"file":{"driver":"file",'
	printf -v json '%s"filename":"%03d.qcow2"}}' "$json" "$nr"
	commands+=(-c "open $json" -c "write -q -P $((nr + 1)) $at $((1 << b))"
		   -c close)
done
qemu-io "${commands[@]}"
to_raw 063.qcow2 "$mem/init.raw"
found=$(tr -d '\0' <"$mem/init.raw" | tr -s '\1-\100' | wc -c)
[ "$found" = 64 ] || fail "$found layers show through"
before=$(sha256sum 0[0-5]?.qcow2 06[012].qcow2)
attach 063.qcow2
dd if="$dev" of="$mem/read" bs=1M iflag=direct status=none
cmp "$mem/read" "$mem/init.raw" || fail "the device reads other content"
detach "$dev"
diff_seeds=1
diff_rounds 063.qcow2 "$mem/init.raw"
diff_verdict 063.qcow2
[ "$before" = "$(sha256sum 0[0-5]?.qcow2 06[012].qcow2)" ] ||
	fail "layers below have changed"

# 256 layers, then one more.
layers 64 256 16
attach 255.qcow2
dd if="$dev" of="$mem/read" bs=1M iflag=direct status=none
cmp "$mem/read" "$model" || fail "the device reads other content"
detach "$dev"
refused "256.qcow2.*layer.*256|layer.*256" qcow2ctl attach 256.qcow2
check_usable
