// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: the decoders of qcow2_format.c. Expected values come from the QCOW2
 * specification (QEMU, docs/interop/qcow2), never from what the code returns.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include "qcow2_err.h"
#include "qcow2_format.h"

#define BUF_BYTES	4096

/* Version 3, 64 KiB clusters, 1 GiB, tables where qemu-img puts them. */
static u8 *good_header(struct kunit *test)
{
	u8 *p = kunit_kzalloc(test, BUF_BYTES, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	memcpy(p, "QFI\xfb", 4);
	put_unaligned_be32(3, p + 4);
	put_unaligned_be32(16, p + 20);
	put_unaligned_be64(1ULL << 30, p + 24);
	put_unaligned_be32(2, p + 36);
	put_unaligned_be64(0x30000, p + 40);
	put_unaligned_be64(0x10000, p + 48);
	put_unaligned_be32(1, p + 56);
	put_unaligned_be32(4, p + 96);
	put_unaligned_be32(112, p + 100);
	return p;
}

static int decode(const u8 *p, struct qcow2_header *h, struct qcow2_err *err)
{
	return qcow2_header_decode(p, BUF_BYTES, h, err);
}

static void header_good(struct kunit *test)
{
	u8 *p = good_header(test);
	struct qcow2_err err = {};
	struct qcow2_header h;

	KUNIT_ASSERT_EQ_MSG(test, decode(p, &h, &err), 0, "%s", err.text);
	KUNIT_EXPECT_EQ(test, h.version, 3U);
	KUNIT_EXPECT_EQ(test, h.cluster_bits, 16U);
	KUNIT_EXPECT_EQ(test, h.size, 1ULL << 30);
	KUNIT_EXPECT_EQ(test, h.l1_entries, 2U);
	KUNIT_EXPECT_EQ(test, h.l1_offset, 0x30000ULL);
	KUNIT_EXPECT_EQ(test, h.reftable_offset, 0x10000ULL);
	KUNIT_EXPECT_EQ(test, h.reftable_clusters, 1U);
	KUNIT_EXPECT_EQ(test, h.refcount_order, 4U);
	KUNIT_EXPECT_EQ(test, h.header_length, 112U);
	KUNIT_EXPECT_EQ(test, h.compression_type, 0U);
}

static void header_v2(struct kunit *test)
{
	u8 *p = good_header(test);
	struct qcow2_err err = {};
	struct qcow2_header h;

	/* What version 3 added is not looked at, and has fixed values. */
	put_unaligned_be32(2, p + 4);
	memset(p + 72, 0xff, 40);
	KUNIT_ASSERT_EQ_MSG(test, decode(p, &h, &err), 0, "%s", err.text);
	KUNIT_EXPECT_EQ(test, h.incompatible, 0ULL);
	KUNIT_EXPECT_EQ(test, h.autoclear, 0ULL);
	KUNIT_EXPECT_EQ(test, h.refcount_order, 4U);
	KUNIT_EXPECT_EQ(test, h.header_length, 72U);
}

struct bad_header {
	const char *what;
	unsigned int offset;
	unsigned int bytes;
	u64 value;
};

static const struct bad_header bad_headers[] = {
	{ "magic",			0, 4, 0x514649fa },
	{ "version 1",			4, 4, 1 },
	{ "version 4",			4, 4, 4 },
	{ "cluster_bits 8",		20, 4, 8 },
	{ "cluster_bits 22",		20, 4, 22 },
	{ "cluster_bits 64",		20, 4, 64 },
	{ "cluster_bits 2^31",		20, 4, 0x80000000 },
	{ "size over INT64_MAX",	24, 8, 1ULL << 63 },
	{ "size not covered by L1",	24, 8, (1ULL << 30) + 1 },
	{ "size of a petabyte",		24, 8, 1ULL << 50 },
	{ "crypt_method 3",		32, 4, 3 },
	{ "L1 over 32 MiB",		36, 4, (32 << 20) / 8 + 1 },
	{ "L1 of 2^32 - 1",		36, 4, 0xffffffff },
	{ "L1 too short",		36, 4, 1 },
	{ "L1 unaligned",		40, 8, 0x30200 },
	{ "L1 at 0",			40, 8, 0 },
	{ "L1 wraps",			40, 8, 0xffffffffffff0000ULL },
	{ "L1 beyond 2^56",		40, 8, 1ULL << 56 },
	{ "reftable at 0",		48, 8, 0 },
	{ "reftable unaligned",		48, 8, 0x10008 },
	{ "reftable wraps",		48, 8, 0xffffffffffff0000ULL },
	{ "reftable empty",		56, 4, 0 },
	{ "reftable over 8 MiB",	56, 4, 129 },
	{ "reftable of 2^32 - 1",	56, 4, 0xffffffff },
	{ "65537 snapshots",		60, 4, 65537 },
	{ "snapshots at 0",		60, 4, 1 },
	{ "unknown incompatible bit",	72, 8, 1ULL << 5 },
	{ "compression bit, type 0",	72, 8, QCOW2_INCOMPAT_COMPRESSION },
	{ "raw bit, no data file",	88, 8, QCOW2_AUTOCLEAR_RAW_DATA },
	{ "refcount_order 7",		96, 4, 7 },
	{ "refcount_order 32",		96, 4, 32 },
	{ "header_length 96",		100, 4, 96 },
	{ "header_length odd",		100, 4, 109 },
	{ "header_length > cluster",	100, 4, 65544 },
	{ "compression type 1, no bit",	104, 1, 1 },
	{ "compression type 2",		104, 1, 2 },
	{ "backing name too far",	8, 8, 65537 },
};

static void header_bad(struct kunit *test)
{
	const struct bad_header *bad = test->param_value;
	u8 *p = good_header(test);
	struct qcow2_err err = {};
	struct qcow2_header h;

	switch (bad->bytes) {
	case 1:
		p[bad->offset] = bad->value;
		break;
	case 4:
		put_unaligned_be32(bad->value, p + bad->offset);
		break;
	default:
		put_unaligned_be64(bad->value, p + bad->offset);
	}
	KUNIT_EXPECT_LT(test, decode(p, &h, &err), 0);
	KUNIT_EXPECT_GT_MSG(test, err.len, 0, "no reason in words");
}

static void bad_header_name(const struct bad_header *bad, char *desc)
{
	strscpy(desc, bad->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_header, bad_headers, bad_header_name);

static void header_backing(struct kunit *test)
{
	u8 *p = good_header(test);
	struct qcow2_err err = {};
	struct qcow2_header h;

	put_unaligned_be64(65536 - 1023, p + 8);
	put_unaligned_be32(1023, p + 16);
	KUNIT_EXPECT_EQ(test, decode(p, &h, &err), 0);
	put_unaligned_be64(65536 - 1022, p + 8);
	KUNIT_EXPECT_LT(test, decode(p, &h, &err), 0);
	put_unaligned_be64(512, p + 8);
	put_unaligned_be32(1024, p + 16);
	KUNIT_EXPECT_LT(test, decode(p, &h, &err), 0);
}

static void header_short(struct kunit *test)
{
	u8 *p = good_header(test);
	struct qcow2_err err = {};
	struct qcow2_header h;
	size_t len;

	for (len = 0; len < 112; len++)
		KUNIT_EXPECT_LT(test, qcow2_header_decode(p, len, &h, &err), 0);
	KUNIT_EXPECT_EQ(test, qcow2_header_decode(p, 112, &h, &err), 0);
}

static void header_extl2(struct kunit *test)
{
	u8 *p = good_header(test);
	struct qcow2_err err = {};
	struct qcow2_header h;

	/* Entries of 16 bytes: half as many in a table, L1 of 4 for 1 GiB. */
	put_unaligned_be64(QCOW2_INCOMPAT_EXTL2, p + 72);
	KUNIT_EXPECT_LT(test, decode(p, &h, &err), 0);
	put_unaligned_be32(4, p + 36);
	KUNIT_EXPECT_EQ(test, decode(p, &h, &err), 0);
	/* Subclusters of less than 512 bytes do not exist. */
	put_unaligned_be32(13, p + 20);
	put_unaligned_be64(1ULL << 20, p + 24);
	KUNIT_EXPECT_LT(test, decode(p, &h, &err), 0);
}

static struct qcow2_bitmaps bitmaps;

static int check_extension(u8 *p, u32 type, u32 len)
{
	struct qcow2_err err = {};
	struct qcow2_header h;

	put_unaligned_be32(type, p + 112);
	put_unaligned_be32(len, p + 116);
	if (decode(p, &h, &err))
		return 1;
	return qcow2_header_check_extensions(p, BUF_BYTES, &h, &bitmaps, &err);
}

static void header_extensions(struct kunit *test)
{
	u8 *p = good_header(test);

	KUNIT_EXPECT_EQ(test, check_extension(p, 0, 0), 0);
	/* Unknown ones are skipped; their length must fit. */
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x12345678, 5), 0);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x12345678, BUF_BYTES - 120), 0);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x12345678, BUF_BYTES - 119),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x12345678, 0xffffffff),
			-EINVAL);
	/* LUKS needs its extension, of 16 bytes. */
	put_unaligned_be32(2, p + 32);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x0537be77, 15), -EINVAL);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x0537be77, 16), 0);
}

/* An unknown feature is refused by the name that the image has for it. */
static void header_features(struct kunit *test)
{
	u8 *p = good_header(test);
	struct qcow2_err err = {};
	struct qcow2_header h;

	put_unaligned_be64(1ULL << 40, p + 72);
	KUNIT_EXPECT_EQ(test, decode(p, &h, &err), -EOPNOTSUPP);
	KUNIT_EXPECT_NOT_NULL(test, strstr(err.text, "0x10000000000"));
	/* Compatible bit 40, then incompatible bit 40. */
	put_unaligned_be32(0x6803f857, p + 112);
	put_unaligned_be32(96, p + 116);
	p[120] = 1;
	p[121] = 40;
	strscpy(p + 122, "the other one", 46);
	p[168] = 0;
	p[169] = 40;
	memset(p + 170, 'x', 46);
	KUNIT_EXPECT_EQ(test, decode(p, &h, &err), -EOPNOTSUPP);
	KUNIT_EXPECT_NOT_NULL(test, strstr(err.text, "xx' (bit 40)"));
	strscpy(p + 170, "warp", 46);
	KUNIT_EXPECT_EQ(test, decode(p, &h, &err), -EOPNOTSUPP);
	KUNIT_EXPECT_NOT_NULL(test, strstr(err.text, "'warp'"));
	/* Names are the image's own words, and may be anything. */
	p[171] = 0x1b;
	KUNIT_EXPECT_EQ(test, decode(p, &h, &err), -EOPNOTSUPP);
	KUNIT_EXPECT_NULL(test, strchr(err.text, 0x1b));
	put_unaligned_be32(0xffffffff, p + 116);
	KUNIT_EXPECT_EQ(test, decode(p, &h, &err), -EOPNOTSUPP);
}

static void header_bitmaps(struct kunit *test)
{
	u8 *p = good_header(test);

	/* Without the autoclear bit the extension means nothing. */
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 23), 0);
	put_unaligned_be64(QCOW2_AUTOCLEAR_BITMAPS, p + 88);
	/* 24 bytes, 1 to 65535 bitmaps, reserved 0, aligned. */
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 23), -EINVAL);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 24), -EINVAL);
	put_unaligned_be32(2, p + 120);
	put_unaligned_be64(64, p + 128);
	put_unaligned_be64(0x50000, p + 136);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 24), 0);
	KUNIT_EXPECT_EQ(test, bitmaps.nr, 2U);
	KUNIT_EXPECT_EQ(test, bitmaps.bytes, 64ULL);
	KUNIT_EXPECT_EQ(test, bitmaps.offset, 0x50000ULL);
	put_unaligned_be32(1, p + 124);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 24), -EINVAL);
	put_unaligned_be32(0, p + 124);
	put_unaligned_be64(0x50200, p + 136);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 24), -EINVAL);
	put_unaligned_be64(0, p + 136);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 24), -EINVAL);
	put_unaligned_be64(0x50000, p + 136);
	/* Smaller than its entries can be, larger than 64 MiB. */
	put_unaligned_be64(40, p + 128);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 24), -EINVAL);
	put_unaligned_be64(65535 * 1024 + 1, p + 128);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 24), -EINVAL);
	put_unaligned_be64(65536 * 1024, p + 128);
	put_unaligned_be32(65536, p + 120);
	KUNIT_EXPECT_EQ(test, check_extension(p, 0x23852875, 24), -EINVAL);
}

static void bitmap_entries(struct kunit *test)
{
	u8 entry[24] = { };

	/* 24 bytes, the name, extra data, in units of 8. */
	KUNIT_EXPECT_EQ(test, qcow2_bitmap_entry_bytes(entry, 24), 24U);
	KUNIT_EXPECT_EQ(test, qcow2_bitmap_entry_bytes(entry, 23), 0U);
	put_unaligned_be16(1, entry + 18);
	KUNIT_EXPECT_EQ(test, qcow2_bitmap_entry_bytes(entry, 32), 32U);
	KUNIT_EXPECT_EQ(test, qcow2_bitmap_entry_bytes(entry, 31), 0U);
	put_unaligned_be16(1023, entry + 18);
	put_unaligned_be32(8, entry + 20);
	KUNIT_EXPECT_EQ(test, qcow2_bitmap_entry_bytes(entry, 4096), 1056U);
	put_unaligned_be32(0xffffffff, entry + 20);
	KUNIT_EXPECT_EQ(test, qcow2_bitmap_entry_bytes(entry, 4096), 0U);
	/* Longer than 4 GiB, in a directory that nobody has bounded. */
	put_unaligned_be16(0xffff, entry + 18);
	KUNIT_EXPECT_EQ(test, qcow2_bitmap_entry_bytes(entry, 1ULL << 33),
			0x100010018ULL);
}

struct bad_snapshot {
	const char *what;
	unsigned int offset;
	unsigned int bytes;
	u64 value;
};

static const struct bad_snapshot bad_snapshots[] = {
	{ "L1 at 0",			0, 8, 0 },
	{ "L1 unaligned",		0, 8, 0x50200 },
	{ "L1 wraps",			0, 8, 0xffffffffffff0000ULL },
	{ "L1 beyond 2^56",		0, 8, 1ULL << 56 },
	{ "L1 over 32 MiB",		8, 4, (32 << 20) / 8 + 1 },
	{ "L1 of 2^32 - 1",		8, 4, 0xffffffff },
	{ "extra data over 1024",	36, 4, 1025 },
	{ "extra data of 2^32 - 1",	36, 4, 0xffffffff },
	{ "extra data under 16",	36, 4, 15 },
	{ "no extra data",		36, 4, 0 },
};

/* A snapshot with an ID of 1 and a name of 3 bytes, in version 3. */
static void good_snapshot(u8 *entry, struct qcow2_header *h)
{
	memset(entry, 0, QCOW2_SNAPSHOT_MIN);
	put_unaligned_be64(0x50000, entry);
	put_unaligned_be32(2, entry + 8);
	put_unaligned_be16(1, entry + 12);
	put_unaligned_be16(3, entry + 14);
	put_unaligned_be32(24, entry + 36);
	*h = (struct qcow2_header){ .version = 3, .cluster_bits = 16 };
}

static void snapshot_good(struct kunit *test)
{
	u8 entry[QCOW2_SNAPSHOT_MIN];
	struct qcow2_snapshot snapshot;
	struct qcow2_err err = {};
	struct qcow2_header h;

	good_snapshot(entry, &h);
	KUNIT_ASSERT_EQ_MSG(test, qcow2_snapshot_decode(entry, &h, &snapshot, &err),
			    0, "%s", err.text);
	KUNIT_EXPECT_EQ(test, snapshot.l1_offset, 0x50000ULL);
	KUNIT_EXPECT_EQ(test, snapshot.l1_entries, 2U);
	KUNIT_EXPECT_EQ(test, snapshot.bytes, 40U + 24 + 1 + 3);
	/* The bounds themselves are allowed. */
	put_unaligned_be32(16, entry + 36);
	KUNIT_EXPECT_EQ(test, qcow2_snapshot_decode(entry, &h, &snapshot, &err), 0);
	put_unaligned_be32(1024, entry + 36);
	put_unaligned_be32((32 << 20) / 8, entry + 8);
	put_unaligned_be32(0xffffffff, entry + 12);
	KUNIT_EXPECT_EQ(test, qcow2_snapshot_decode(entry, &h, &snapshot, &err), 0);
	KUNIT_EXPECT_EQ(test, snapshot.bytes, 40U + 1024 + 65535 + 65535);
	/* A disk without a size has no L1. */
	put_unaligned_be64(0, entry);
	put_unaligned_be32(0, entry + 8);
	KUNIT_EXPECT_EQ(test, qcow2_snapshot_decode(entry, &h, &snapshot, &err), 0);
	/* Version 2 had no extra data. */
	h.version = 2;
	put_unaligned_be32(0, entry + 36);
	KUNIT_EXPECT_EQ(test, qcow2_snapshot_decode(entry, &h, &snapshot, &err), 0);
	put_unaligned_be32(1025, entry + 36);
	KUNIT_EXPECT_NE(test, qcow2_snapshot_decode(entry, &h, &snapshot, &err), 0);
}

static void snapshot_bad(struct kunit *test)
{
	const struct bad_snapshot *bad = test->param_value;
	u8 entry[QCOW2_SNAPSHOT_MIN];
	struct qcow2_snapshot snapshot;
	struct qcow2_err err = {};
	struct qcow2_header h;

	good_snapshot(entry, &h);
	if (bad->bytes == 8)
		put_unaligned_be64(bad->value, entry + bad->offset);
	else
		put_unaligned_be32(bad->value, entry + bad->offset);
	KUNIT_EXPECT_LT(test, qcow2_snapshot_decode(entry, &h, &snapshot, &err), 0);
	KUNIT_EXPECT_GT(test, err.len, 0UL);
}

static void bad_snapshot_desc(const struct bad_snapshot *bad, char *desc)
{
	strscpy(desc, bad->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bad_snapshot, bad_snapshots, bad_snapshot_desc);

/* A standard entry of an image of that version and cluster size. */
static struct qcow2_entry l2(u64 raw, u32 version, u32 cluster_bits)
{
	struct qcow2_header h = {
		.version = version,
		.cluster_bits = cluster_bits,
	};

	return qcow2_l2_decode(&h, raw, 0);
}

static void l2_entries(struct kunit *test)
{
	struct qcow2_entry e;

	KUNIT_EXPECT_EQ(test, l2(0, 3, 16).kind, QCOW2_UNALLOCATED);
	KUNIT_EXPECT_EQ(test, l2(1, 3, 16).kind, QCOW2_ZERO_PLAIN);
	/* Version 2 has no zero flag. */
	KUNIT_EXPECT_EQ(test, l2(1, 2, 16).kind, QCOW2_INVALID);

	e = l2(0x8000000000050000ULL, 3, 16);
	KUNIT_EXPECT_EQ(test, e.kind, QCOW2_DATA);
	KUNIT_EXPECT_TRUE(test, e.copied);
	KUNIT_EXPECT_EQ(test, e.host, 0x50000ULL);

	e = l2(0x00ffffffffff0000ULL, 2, 16);
	KUNIT_EXPECT_EQ(test, e.kind, QCOW2_DATA);
	KUNIT_EXPECT_FALSE(test, e.copied);
	KUNIT_EXPECT_EQ(test, e.host, 0x00ffffffffff0000ULL);

	e = l2(0x8000000000050001ULL, 3, 16);
	KUNIT_EXPECT_EQ(test, e.kind, QCOW2_ZERO_ALLOC);
	KUNIT_EXPECT_EQ(test, e.host, 0x50000ULL);

	/* Unaligned, COPIED without a cluster, reserved bits. */
	KUNIT_EXPECT_EQ(test, l2(0x50200, 3, 16).kind, QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, l2(1ULL << 63, 3, 16).kind,
			QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, l2(1ULL << 63 | 1, 3, 16).kind, QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, l2(0x50002, 3, 16).kind, QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, l2(0x50100, 3, 16).kind, QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, l2(0x0100000000050000ULL, 3, 16).kind,
			QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, l2(0x2000000000050000ULL, 3, 16).kind,
			QCOW2_INVALID);
}

static void l2_compressed(struct kunit *test)
{
	struct qcow2_entry e;

	/* 64 KiB clusters: x = 62 - (16 - 8) = 54 bits of offset. */
	e = l2(1ULL << 62 | 3ULL << 54 | 0x51234, 3, 16);
	KUNIT_EXPECT_EQ(test, e.kind, QCOW2_COMPRESSED);
	KUNIT_EXPECT_EQ(test, e.host, 0x51234ULL);
	/* Three sectors beyond the one that it begins in, at byte 0x34. */
	KUNIT_EXPECT_EQ(test, e.bytes, 4U * 512 - 0x34);

	/* 512 byte clusters: 61 bits of offset, one of sectors. */
	e = l2(1ULL << 62 | 1ULL << 61 | 0x1fe, 3, 9);
	KUNIT_EXPECT_EQ(test, e.kind, QCOW2_COMPRESSED);
	KUNIT_EXPECT_EQ(test, e.host, 0x1feULL);
	KUNIT_EXPECT_EQ(test, e.bytes, 2U * 512 - 0x1fe);

	/* 2 MiB clusters: 49 bits of offset, above 4 GiB and unaligned. */
	e = l2(1ULL << 62 | 0x1fffULL << 49 | 0x123456789ULL, 3, 21);
	KUNIT_EXPECT_EQ(test, e.host, 0x123456789ULL);
	KUNIT_EXPECT_EQ(test, e.bytes, 0x2000U * 512 - 0x189);

	KUNIT_EXPECT_EQ(test, l2(1ULL << 62, 3, 16).kind,
			QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, l2(3ULL << 62 | 0x50000, 3, 16).kind,
			QCOW2_INVALID);
}

/* An extended entry, with clusters of 64 KiB. */
static struct qcow2_entry extended(u64 raw, u64 bitmap, u64 also)
{
	struct qcow2_header h = {
		.version = 3,
		.cluster_bits = 16,
		.incompatible = QCOW2_INCOMPAT_EXTL2 | also,
	};

	return qcow2_l2_decode(&h, raw, bitmap);
}

static void l2_extended(struct kunit *test)
{
	const u64 data = 0x8000000000050000ULL;
	struct qcow2_entry e;

	KUNIT_EXPECT_EQ(test, extended(0, 0, 0).kind, QCOW2_UNALLOCATED);
	KUNIT_EXPECT_EQ(test, extended(0, 0xffffffff00000000ULL, 0).kind,
			QCOW2_UNALLOCATED);
	e = extended(data, 0xffffffffULL, 0);
	KUNIT_EXPECT_EQ(test, e.kind, QCOW2_DATA);
	KUNIT_EXPECT_TRUE(test, e.copied);
	KUNIT_EXPECT_EQ(test, e.host, 0x50000ULL);
	/* A host cluster that nothing of has been written to. */
	KUNIT_EXPECT_EQ(test, extended(data, 0, 0).kind, QCOW2_DATA);
	KUNIT_EXPECT_EQ(test, extended(data, 0x8000000000000001ULL, 0).kind,
			QCOW2_DATA);
	/* Allocated and zero; allocated nowhere; the zero flag; COPIED alone. */
	KUNIT_EXPECT_EQ(test, extended(data, 0x0000000100000001ULL, 0).kind,
			QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, extended(0, 1, 0).kind, QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, extended(data | 1, 1, 0).kind, QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, extended(1ULL << 63, 0, 0).kind, QCOW2_INVALID);
	/* Compressed clusters have no subclusters. */
	KUNIT_EXPECT_EQ(test, extended(1ULL << 62 | 0x50000, 0, 0).kind,
			QCOW2_COMPRESSED);
	KUNIT_EXPECT_EQ(test, extended(1ULL << 62 | 0x50000, 1, 0).kind,
			QCOW2_INVALID);
	KUNIT_EXPECT_EQ(test, extended(1ULL << 62 | 0x50000, 1ULL << 32, 0).kind,
			QCOW2_INVALID);
	/* Guest cluster 0 lies at offset 0 of a data file. */
	KUNIT_EXPECT_EQ(test, extended(1ULL << 63, 1, QCOW2_INCOMPAT_DATA_FILE).kind,
			QCOW2_DATA);
}

static void l2_external(struct kunit *test)
{
	struct qcow2_header h = {
		.version = 3,
		.cluster_bits = 16,
		.incompatible = QCOW2_INCOMPAT_DATA_FILE,
	};

	KUNIT_EXPECT_EQ(test, qcow2_l2_decode(&h, 0, 0).kind, QCOW2_UNALLOCATED);
	KUNIT_EXPECT_EQ(test, qcow2_l2_decode(&h, 1ULL << 63, 0).kind, QCOW2_DATA);
	KUNIT_EXPECT_EQ(test, qcow2_l2_decode(&h, 1ULL << 63 | 1, 0).kind,
			QCOW2_ZERO_ALLOC);
	KUNIT_EXPECT_EQ(test, qcow2_l2_decode(&h, 1, 0).kind, QCOW2_ZERO_PLAIN);
	KUNIT_EXPECT_EQ(test, qcow2_l2_decode(&h, 1ULL << 62 | 0x50000, 0).kind,
			QCOW2_INVALID);
}

static void subclusters(struct kunit *test)
{
	/* 0 to 3 allocated, 4 and 5 nothing, 6 to 31 zero. */
	const u64 bitmap = 0xffffffc00000000fULL;

	KUNIT_EXPECT_EQ(test, qcow2_sub_kind(bitmap, 0), QCOW2_DATA);
	KUNIT_EXPECT_EQ(test, qcow2_sub_kind(bitmap, 3), QCOW2_DATA);
	KUNIT_EXPECT_EQ(test, qcow2_sub_kind(bitmap, 4), QCOW2_UNALLOCATED);
	KUNIT_EXPECT_EQ(test, qcow2_sub_kind(bitmap, 6), QCOW2_ZERO_PLAIN);
	KUNIT_EXPECT_EQ(test, qcow2_sub_kind(bitmap, 31), QCOW2_ZERO_PLAIN);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(bitmap, 0), 4U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(bitmap, 3), 1U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(bitmap, 4), 2U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(bitmap, 6), 26U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(bitmap, 31), 1U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(0, 0), 32U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(0, 5), 27U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(0xffffffffULL, 0), 32U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_run(0xffffffff00000000ULL, 1), 31U);
	KUNIT_EXPECT_EQ(test, qcow2_sub_mask(0, 32), 0xffffffffULL);
	KUNIT_EXPECT_EQ(test, qcow2_sub_mask(31, 32), 0x80000000ULL);
	KUNIT_EXPECT_EQ(test, qcow2_sub_mask(2, 4), 0xcULL);
	KUNIT_EXPECT_EQ(test, qcow2_sub_mask(7, 7), 0ULL);
}

static void table_entries(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, qcow2_l1_valid(0, 16));
	KUNIT_EXPECT_TRUE(test, qcow2_l1_valid(0x8000000000040000ULL, 16));
	KUNIT_EXPECT_TRUE(test, qcow2_l1_valid(0x200, 9));
	KUNIT_EXPECT_FALSE(test, qcow2_l1_valid(1ULL << 63, 16));
	KUNIT_EXPECT_FALSE(test, qcow2_l1_valid(0x40200, 16));
	KUNIT_EXPECT_FALSE(test, qcow2_l1_valid(0x40001, 16));
	KUNIT_EXPECT_FALSE(test, qcow2_l1_valid(1ULL << 62 | 0x40000, 16));
	KUNIT_EXPECT_FALSE(test, qcow2_l1_valid(1ULL << 56, 16));

	KUNIT_EXPECT_TRUE(test, qcow2_reftable_valid(0, 16));
	KUNIT_EXPECT_TRUE(test, qcow2_reftable_valid(0x20000, 16));
	KUNIT_EXPECT_FALSE(test, qcow2_reftable_valid(0x20001, 16));
	KUNIT_EXPECT_FALSE(test, qcow2_reftable_valid(0x20200, 16));
	KUNIT_EXPECT_FALSE(test, qcow2_reftable_valid(1ULL << 63, 16));
}

static void refcounts_read(struct kunit *test)
{
	static const u8 table[16] = {
		0x01, 0x82, 0x03, 0xf4, 0x05, 0x06, 0x07, 0x08,
		0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10,
	};

	/* Narrow ones fill a byte from its least significant bit. */
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 0, 0), 1ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 1, 0), 0ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 15, 0), 1ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 4, 1), 2ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 7, 1), 2ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 6, 2), 4ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 7, 2), 15ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 3, 3), 0xf4ULL);
	/* Wide ones are big-endian. */
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 1, 4), 0x03f4ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 1, 5), 0x05060708ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, 1, 6),
			0x090a0b0c0d0e0f10ULL);
}

static void refcounts_write(struct kunit *test)
{
	u8 table[32], before[32];
	u32 order, i, bits;

	for (order = 0; order <= QCOW2_MAX_REFCOUNT_ORDER; order++) {
		bits = 1U << order;
		/* Set to the maximum and back: no neighbour changes. */
		for (i = 0; i < 256 / bits; i++) {
			memset(table, 0x5a, sizeof(table));
			memcpy(before, table, sizeof(table));
			qcow2_refcount_set(table, i, order,
					   qcow2_refcount_max(order));
			KUNIT_EXPECT_EQ(test, qcow2_refcount_get(table, i, order),
					qcow2_refcount_max(order));
			qcow2_refcount_set(table, i, order,
					   qcow2_refcount_get(before, i, order));
			KUNIT_EXPECT_EQ(test, memcmp(table, before, 32), 0);
		}
	}
	KUNIT_EXPECT_EQ(test, qcow2_refcount_max(0), 1ULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_max(4), 0xffffULL);
	KUNIT_EXPECT_EQ(test, qcow2_refcount_max(6), ~0ULL);
}

static struct kunit_case qcow2_format_cases[] = {
	KUNIT_CASE(header_good),
	KUNIT_CASE(header_v2),
	KUNIT_CASE_PARAM(header_bad, bad_header_gen_params),
	KUNIT_CASE(header_backing),
	KUNIT_CASE(header_short),
	KUNIT_CASE(header_extl2),
	KUNIT_CASE(header_extensions),
	KUNIT_CASE(header_features),
	KUNIT_CASE(header_bitmaps),
	KUNIT_CASE(bitmap_entries),
	KUNIT_CASE(snapshot_good),
	KUNIT_CASE_PARAM(snapshot_bad, bad_snapshot_gen_params),
	KUNIT_CASE(l2_entries),
	KUNIT_CASE(l2_compressed),
	KUNIT_CASE(l2_extended),
	KUNIT_CASE(l2_external),
	KUNIT_CASE(subclusters),
	KUNIT_CASE(table_entries),
	KUNIT_CASE(refcounts_read),
	KUNIT_CASE(refcounts_write),
	{}
};

static struct kunit_suite qcow2_format_suite = {
	.name = "qcow2_format",
	.test_cases = qcow2_format_cases,
};

kunit_test_suite(qcow2_format_suite);

MODULE_DESCRIPTION("KUnit tests for the QCOW2 decoders");
MODULE_LICENSE("GPL");
