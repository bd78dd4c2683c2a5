// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoders of qcow2_format.c under libFuzzer. The first byte of an input
 * says which of them sees the rest.
 *
 * Beside what the sanitizers find, what is accepted must be within the bounds
 * that the specification and QEMU set. They are worked out here in another way
 * than there: with wider integers, bit by bit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qcow2_format.h"

typedef unsigned __int128 u128;

#define LAST_HOST	INT64_MAX

#define must(what) do { \
	if (!(what)) { \
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
		abort(); \
	} \
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static u64 be(const u8 *p, unsigned int bytes)
{
	u64 value = 0;

	while (bytes--)
		value = value << 8 | *p++;
	return value;
}

/* A region that the image may have: aligned, and with an end. */
static bool sound(u64 offset, u128 bytes, u64 cluster)
{
	return offset % cluster == 0 && (u128)offset + bytes <= LAST_HOST;
}

/* Every refusal has words: one line, for people. */
static void check_words(int ret, const struct qcow2_err *err)
{
	size_t i;

	must(ret == -EINVAL || ret == -EFBIG || ret == -EOPNOTSUPP);
	must(err->len > 0 && err->len < sizeof(err->text));
	must(strlen(err->text) == err->len);
	for (i = 0; i < err->len; i++)
		must(err->text[i] >= 0x20 && err->text[i] <= 0x7e);
}

static void check_header(const u8 *p, size_t len, const struct qcow2_header *h)
{
	u64 cluster = be(p + 20, 4) <= 21 ? 1ULL << be(p + 20, 4) : 0;
	u64 features = 0, autoclear = 0, entry = 8;
	u32 version = be(p + 4, 4);

	must(len >= 72 && !memcmp(p, "QFI\xfb", 4));
	must(version == 2 || version == 3);
	must(cluster >= 512 && cluster <= 2 << 20);
	must(h->version == version && 1ULL << h->cluster_bits == cluster);
	if (version == 3) {
		must(len >= 104);
		features = be(p + 72, 8);
		autoclear = be(p + 88, 8);
		must(be(p + 96, 4) <= 6);
		must(be(p + 100, 4) >= 104 && be(p + 100, 4) <= cluster);
		must(be(p + 100, 4) % 8 == 0);
		must(h->compression_type <= 1);
		must(!h->compression_type == !(features & 8));
		must(h->header_length == be(p + 100, 4));
		must(h->refcount_order == be(p + 96, 4));
	} else {
		must(h->refcount_order == 4 && !h->compression_type);
	}
	must(h->incompatible == features && h->autoclear == autoclear);
	must(!(features >> 5));
	/* Extended entries: twice as long, 32 subclusters of a sector at least. */
	if (features & 16) {
		must(cluster / 32 >= 512);
		entry = 16;
	}
	must(!(autoclear & 2) || features & 4);
	must(be(p + 32, 4) <= 2);
	must(be(p + 24, 8) <= INT64_MAX);

	must(be(p + 36, 4) * 8 <= 32 << 20);
	must((u128)be(p + 36, 4) * (cluster / entry) * cluster >= be(p + 24, 8));
	must(!be(p + 36, 4) || be(p + 40, 8));
	must(!be(p + 36, 4) || sound(be(p + 40, 8), be(p + 36, 4) * 8, cluster));
	must(be(p + 56, 4) >= 1 && (u128)be(p + 56, 4) * cluster <= 8 << 20);
	must(be(p + 48, 8));
	must(sound(be(p + 48, 8), (u128)be(p + 56, 4) * cluster, cluster));
	must(be(p + 60, 4) <= 65536);
	must(!be(p + 60, 4) || be(p + 64, 8));
	must(!be(p + 60, 4) || sound(be(p + 64, 8), 0, cluster));
	if (be(p + 8, 8)) {
		must(be(p + 16, 4) <= 1023);
		must((u128)be(p + 8, 8) + be(p + 16, 4) <= cluster);
	}
}

static void check_extensions(const u8 *p, size_t len, const struct qcow2_header *h,
			     const struct qcow2_bitmaps *bitmaps)
{
	u64 cluster = 1ULL << h->cluster_bits, at = h->header_length;
	u64 end = len < cluster ? len : cluster;
	bool luks = false, found = false;

	if (h->backing_offset && h->backing_offset < end)
		end = h->backing_offset;
	while (at + 8 <= end && be(p + at, 4)) {
		u64 bytes = be(p + at + 4, 4);

		must(bytes <= end - at - 8);
		if (be(p + at, 4) == 0x0537be77) {
			must(bytes == 16);
			luks = true;
		}
		if (be(p + at, 4) == 0x23852875 && h->autoclear & 1) {
			must(bytes == 24 && !be(p + at + 12, 4));
			must(bitmaps->nr >= 1 && bitmaps->nr <= 65535);
			must(bitmaps->bytes >= 24ULL * bitmaps->nr);
			must(bitmaps->bytes <= 65535 * 1024);
			must(bitmaps->offset);
			must(sound(bitmaps->offset, bitmaps->bytes, cluster));
			found = true;
		}
		at += 8 + (bytes + 7) / 8 * 8;
	}
	must(found || !bitmaps->nr);
	must(h->crypt_method != 2 || luks);
}

static void fuzz_header(const u8 *p, size_t len)
{
	struct qcow2_bitmaps bitmaps = {};
	struct qcow2_header h, again;
	struct qcow2_err err = {};
	int ret = qcow2_header_decode(p, len, &h, &err);

	if (ret) {
		check_words(ret, &err);
		return;
	}
	check_header(p, len, &h);
	/* All of it is decided, whatever was there before. */
	memset(&again, 0xff, sizeof(again));
	must(!qcow2_header_decode(p, len, &again, NULL));
	must(again.compression_type == h.compression_type &&
	     again.compatible == h.compatible && again.backing_len == h.backing_len);
	ret = qcow2_header_check_extensions(p, len, &h, &bitmaps, &err);
	if (ret) {
		check_words(ret, &err);
		qcow2_err_prefix(&err, "%.*s: ", 600, (const char *)err.text);
		must(strlen(err.text) == err.len);
	} else {
		check_extensions(p, len, &h, &bitmaps);
	}
}

/* Any header that decoding may have left, of two bytes. */
static struct qcow2_header any_header(const u8 *p)
{
	struct qcow2_header h = {
		.version = 2 + (p[0] & 1),
		.cluster_bits = 9 + p[1] % 13,
	};

	if (h.version == 2)
		return h;
	if (p[0] & 2 && h.cluster_bits >= 14)
		h.incompatible |= QCOW2_INCOMPAT_EXTL2;
	if (p[0] & 4)
		h.incompatible |= QCOW2_INCOMPAT_DATA_FILE;
	return h;
}

static void check_subclusters(u64 bitmap)
{
	u32 sub, run, i;

	for (sub = 0; sub < 32; sub++) {
		bool alloc = bitmap >> sub & 1, zero = bitmap >> (sub + 32) & 1;

		must(qcow2_sub_kind(bitmap, sub) ==
		     (alloc ? QCOW2_DATA : zero ? QCOW2_ZERO_PLAIN :
		      QCOW2_UNALLOCATED));
		run = qcow2_sub_run(bitmap, sub);
		must(run >= 1 && sub + run <= 32);
		for (i = 1; i < run; i++)
			must(qcow2_sub_kind(bitmap, sub + i) ==
			     qcow2_sub_kind(bitmap, sub));
		must(sub + run == 32 || qcow2_sub_kind(bitmap, sub + run) !=
		     qcow2_sub_kind(bitmap, sub));
	}
}

static void check_entry(const struct qcow2_header *h, u64 raw, u64 bitmap)
{
	struct qcow2_entry e = qcow2_l2_decode(h, raw, bitmap);
	u64 cluster = 1ULL << h->cluster_bits;
	bool extended = h->incompatible & QCOW2_INCOMPAT_EXTL2;
	bool external = h->incompatible & QCOW2_INCOMPAT_DATA_FILE;
	bool copied = raw >> 63, compressed = raw >> 62 & 1;
	u64 host = raw & 0x00fffffffffffe00;
	u32 bits = 62 - (h->cluster_bits - 8);

	if (e.kind == QCOW2_INVALID)
		return;
	must((e.kind == QCOW2_COMPRESSED) == compressed);
	if (compressed) {
		must(!external && !(extended && bitmap) && !copied);
		must(e.host == (raw & ((1ULL << bits) - 1)) && e.host);
		must(e.bytes >= 1 && e.bytes <= 2 * cluster);
		must((e.host + e.bytes) % 512 == 0);
		must((e.host + e.bytes - 1) / 512 - e.host / 512 ==
		     (raw & ~(3ULL << 62)) >> bits);
		must((u128)e.host + e.bytes <= LAST_HOST);
		return;
	}
	must(e.host == host && e.copied == copied);
	must(!(raw & 0x3f000000000001fe) && host % cluster == 0);
	must((u128)host + cluster <= (u128)1 << 56);
	/* Only a data file has something at offset 0. */
	must(!copied || host || external);
	must(!(raw & 1) || (h->version == 3 && !extended));
	if (extended) {
		must(!((u32)bitmap & bitmap >> 32));
		must(!(u32)bitmap || e.kind == QCOW2_DATA);
		check_subclusters(bitmap);
	}
	switch (e.kind) {
	case QCOW2_UNALLOCATED:
		must(!host && !(raw & 1));
		break;
	case QCOW2_ZERO_PLAIN:
		must(!host && raw & 1);
		break;
	case QCOW2_ZERO_ALLOC:
		must((host || (external && copied)) && raw & 1);
		break;
	default:
		must(e.kind == QCOW2_DATA && (host || (external && copied)));
		must(!(raw & 1));
	}
}

static void fuzz_l2(const u8 *p, size_t len)
{
	struct qcow2_header h;

	if (len < 2)
		return;
	h = any_header(p);
	for (p += 2, len -= 2; len >= 16; p += 16, len -= 16)
		check_entry(&h, be(p, 8), be(p + 8, 8));
}

static void fuzz_tables(const u8 *p, size_t len)
{
	u32 bits;

	if (!len)
		return;
	bits = 9 + *p % 13;
	for (p++, len--; len >= 8; p += 8, len -= 8) {
		u64 raw = be(p, 8), host = raw & 0x00fffffffffffe00;

		if (qcow2_l1_valid(raw, bits)) {
			must(!(raw & 0x7f000000000001ff));
			must(host % (1ULL << bits) == 0);
			must(host || !(raw >> 63));
		}
		if (qcow2_reftable_valid(raw, bits)) {
			must(!(raw & 0x1ff) && raw % (1ULL << bits) == 0);
			must((u128)raw + (1ULL << bits) <= LAST_HOST);
		}
	}
}

/* A refcount, bit by bit. */
static u64 model_refcount(const u8 *p, u64 index, u32 order)
{
	u32 bits = 1U << order, i;
	u64 value = 0;

	for (i = 0; i < bits; i++) {
		/* Bit i of the number, 0 is the least significant one. */
		u64 at = bits < 8 ? index * bits + i :
			 index * bits + (bits - 8) / 8 * 8 - i / 8 * 8 + i % 8;

		value |= (u64)(p[at / 8] >> at % 8 & 1) << i;
	}
	return value;
}

static void fuzz_refcounts(const u8 *p, size_t len)
{
	u64 value, max, nr, i;
	u32 order, index;
	u8 *copy;

	if (len < 18)
		return;
	order = p[0] % 7;
	max = order == 6 ? ~0ULL : (1ULL << (1U << order)) - 1;
	must(qcow2_refcount_max(order) == max);
	value = be(p + 1, 8) & max;
	index = be(p + 9, 4);
	p += 13;
	len -= 13;
	nr = len * 8 >> order;
	if (!nr)
		return;
	copy = malloc(len);
	memcpy(copy, p, len);
	index %= nr;
	qcow2_refcount_set(copy, index, order, value);
	for (i = 0; i < nr; i++) {
		must(qcow2_refcount_get(p, i, order) == model_refcount(p, i, order));
		must(qcow2_refcount_get(copy, i, order) ==
		     (i == index ? value : model_refcount(p, i, order)));
	}
	free(copy);
}

static void fuzz_snapshots(const u8 *p, size_t len)
{
	struct qcow2_snapshot snapshot;
	struct qcow2_err err = {};
	struct qcow2_header h;
	int ret;

	if (len < 2)
		return;
	h = any_header(p);
	for (p += 2, len -= 2; len >= QCOW2_SNAPSHOT_MIN; p += QCOW2_SNAPSHOT_MIN,
	     len -= QCOW2_SNAPSHOT_MIN) {
		ret = qcow2_snapshot_decode(p, &h, &snapshot, &err);
		if (ret) {
			check_words(ret, &err);
			continue;
		}
		must(snapshot.l1_offset == be(p, 8));
		must(snapshot.l1_entries == be(p + 8, 4));
		must(be(p + 8, 4) * 8 <= 32 << 20);
		must(!be(p + 8, 4) || be(p, 8));
		must(!be(p + 8, 4) || sound(be(p, 8), be(p + 8, 4) * 8,
					    1ULL << h.cluster_bits));
		must(be(p + 36, 4) <= 1024);
		must(h.version == 2 || be(p + 36, 4) >= 16);
		must(snapshot.bytes == 40 + be(p + 12, 2) + be(p + 14, 2) +
		     be(p + 36, 4));
	}
}

static void fuzz_bitmaps(const u8 *p, size_t len)
{
	u64 left, need, bytes;

	if (len < 8 + QCOW2_BITMAP_ENTRY_MIN)
		return;
	left = be(p, 8);
	p += 8;
	need = (24 + be(p + 18, 2) + be(p + 20, 4) + 7) / 8 * 8;
	bytes = qcow2_bitmap_entry_bytes(p, left);
	must(bytes == (need <= left ? need : 0));
}

static void (*const decoders[])(const u8 *p, size_t len) = {
	fuzz_header, fuzz_l2, fuzz_tables, fuzz_refcounts, fuzz_snapshots,
	fuzz_bitmaps,
};

/**
 * LLVMFuzzerTestOneInput() - what libFuzzer calls
 * @data: the input
 * @size: its bytes
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *copy;

	if (!size)
		return 0;
	/* Of its own, so that the sanitizer sees where it ends. */
	copy = malloc(size);
	memcpy(copy, data, size);
	decoders[*copy % (sizeof(decoders) / sizeof(*decoders))](copy + 1, size - 1);
	free(copy);
	return 0;
}
