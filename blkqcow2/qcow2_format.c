// SPDX-License-Identifier: GPL-2.0-only
/*
 * The QCOW2 on-disk format: decoders and encoders. See qcow2_format.h.
 */
#ifdef __KERNEL__
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/unaligned.h>
#include "qcow2_err.h"
#endif
#include "qcow2_format.h"

#define QCOW2_EXT_END		0x00000000U
#define QCOW2_EXT_BITMAPS	0x23852875U
#define QCOW2_EXT_CRYPTO	0x0537be77U
#define QCOW2_EXT_FEATURES	0x6803f857U
#define QCOW2_EXT_DATA_FILE	0x44415441U

/* In the feature name table: type, bit and name. */
#define QCOW2_FEATURE_BYTES	48

/*
 * Host offsets are kept below 2^56, the width of the offset field; that they
 * fit in a loff_t follows.
 */
static bool qcow2_table_fits(u64 offset, u64 bytes, u32 cluster_bits)
{
	u64 end;

	if (offset & (BIT_ULL(cluster_bits) - 1))
		return false;
	return !check_add_overflow(offset, bytes, &end) &&
	       end <= QCOW2_ENTRY_OFFSET;
}

static void qcow2_header_decode_v2(const u8 *p, struct qcow2_header *h)
{
	h->version = get_unaligned_be32(p + 4);
	h->backing_offset = get_unaligned_be64(p + 8);
	h->backing_len = get_unaligned_be32(p + 16);
	h->cluster_bits = get_unaligned_be32(p + 20);
	h->size = get_unaligned_be64(p + 24);
	h->crypt_method = get_unaligned_be32(p + 32);
	h->l1_entries = get_unaligned_be32(p + 36);
	h->l1_offset = get_unaligned_be64(p + 40);
	h->reftable_offset = get_unaligned_be64(p + 48);
	h->reftable_clusters = get_unaligned_be32(p + 56);
	h->nr_snapshots = get_unaligned_be32(p + 60);
	h->snapshots_offset = get_unaligned_be64(p + 64);
	h->incompatible = 0;
	h->compatible = 0;
	h->autoclear = 0;
	h->refcount_order = 4;
	h->header_length = QCOW2_V2_HEADER_LENGTH;
	h->compression_type = 0;
}

static void qcow2_header_decode_v3(const u8 *p, struct qcow2_header *h)
{
	h->incompatible = get_unaligned_be64(p + 72);
	h->compatible = get_unaligned_be64(p + 80);
	h->autoclear = get_unaligned_be64(p + 88);
	h->refcount_order = get_unaligned_be32(p + 96);
	h->header_length = get_unaligned_be32(p + 100);
	if (h->header_length > QCOW2_V3_HEADER_LENGTH)
		h->compression_type = p[QCOW2_V3_HEADER_LENGTH];
}

/**
 * struct qcow2_ext - a header extension
 * @type: QCOW2_EXT_*, or one that is not known
 * @bytes: length of @data
 * @data: inside the buffer with the header
 */
struct qcow2_ext {
	u32 type;
	u32 bytes;
	const u8 *data;
};

/* Where extensions end, in a buffer of @len bytes from the start of the file. */
static u64 qcow2_ext_limit(size_t len, const struct qcow2_header *h)
{
	u64 end = min_t(u64, len, BIT_ULL(h->cluster_bits));

	return h->backing_offset ? min(end, h->backing_offset) : end;
}

/* The one at *@pos: 1, 0 if there is none, -EINVAL if it is too long. */
static int qcow2_ext_next(const u8 *buf, u64 *pos, u64 end, struct qcow2_ext *ext)
{
	if (*pos + 8 > end)
		return 0;
	ext->type = get_unaligned_be32(buf + *pos);
	ext->bytes = get_unaligned_be32(buf + *pos + 4);
	ext->data = buf + *pos + 8;
	*pos += 8;
	if (ext->type == QCOW2_EXT_END)
		return 0;
	if (ext->bytes > end - *pos)
		return -EINVAL;
	*pos += ((u64)ext->bytes + 7) & ~7ULL;
	return 1;
}

/* The name that the table @ext has for an incompatible feature, or NULL. */
static const char *qcow2_feature_in(const struct qcow2_ext *ext, u32 bit)
{
	u32 at, i;

	for (at = 0; at + QCOW2_FEATURE_BYTES <= ext->bytes;
	     at += QCOW2_FEATURE_BYTES) {
		const u8 *p = ext->data + at;

		if (p[0] || p[1] != bit)
			continue;
		/* The image's own words: let through what can be printed. */
		for (i = 2; i < QCOW2_FEATURE_BYTES && p[i]; i++) {
			if (p[i] < 0x20 || p[i] > 0x7e)
				return NULL;
		}
		return i > 2 ? (const char *)p + 2 : NULL;
	}
	return NULL;
}

static int qcow2_refuse_feature(const u8 *buf, size_t len,
				const struct qcow2_header *h,
				struct qcow2_err *err)
{
	u64 unknown = h->incompatible & ~QCOW2_INCOMPAT_KNOWN;
	u64 pos = h->header_length, end = qcow2_ext_limit(len, h);
	u32 bit = __ffs64(unknown);
	const char *name = NULL;
	struct qcow2_ext ext;

	while (!name && qcow2_ext_next(buf, &pos, end, &ext) > 0) {
		if (ext.type == QCOW2_EXT_FEATURES)
			name = qcow2_feature_in(&ext, bit);
	}
	if (name)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "unknown incompatible feature '%.*s' (bit %u)",
				  QCOW2_FEATURE_BYTES - 2, name, bit);
	return qcow2_fail(err, -EOPNOTSUPP,
			  "unknown incompatible feature bits 0x%llx",
			  (unsigned long long)unknown);
}

static int qcow2_check_features(const struct qcow2_header *h,
				struct qcow2_err *err)
{
	bool typed = h->incompatible & QCOW2_INCOMPAT_COMPRESSION;

	if (h->compression_type > 1)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "unknown compression type %u",
				  h->compression_type);
	if (typed != !!h->compression_type)
		return qcow2_fail(err, -EINVAL,
				  "compression type and its feature bit contradict each other");
	if ((h->autoclear & QCOW2_AUTOCLEAR_RAW_DATA) &&
	    !(h->incompatible & QCOW2_INCOMPAT_DATA_FILE))
		return qcow2_fail(err, -EINVAL,
				  "raw data file bit without a data file");
	if ((h->incompatible & QCOW2_INCOMPAT_EXTL2) && h->cluster_bits < 14)
		return qcow2_fail(err, -EINVAL,
				  "extended L2 entries with clusters under 16 KiB");
	if (h->crypt_method > 2)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "unknown encryption method %u",
				  h->crypt_method);
	return 0;
}

static int qcow2_check_l1(const struct qcow2_header *h, struct qcow2_err *err)
{
	u32 entry_bits = h->incompatible & QCOW2_INCOMPAT_EXTL2 ? 4 : 3;
	u32 table_bits = 2 * h->cluster_bits - entry_bits;
	u64 need = (h->size >> table_bits) +
		   !!(h->size & (BIT_ULL(table_bits) - 1));

	if ((u64)h->l1_entries * 8 > QCOW2_MAX_L1_BYTES)
		return qcow2_fail(err, -EFBIG, "L1 table is larger than 32 MiB");
	if (h->l1_entries < need)
		return qcow2_fail(err, -EINVAL,
				  "L1 table of %u entries does not cover the virtual size",
				  h->l1_entries);
	if (h->l1_entries &&
	    (!h->l1_offset || !qcow2_table_fits(h->l1_offset, (u64)h->l1_entries * 8,
						h->cluster_bits)))
		return qcow2_fail(err, -EINVAL, "L1 table offset 0x%llx is invalid",
				  (unsigned long long)h->l1_offset);
	return 0;
}

static int qcow2_check_tables(const struct qcow2_header *h,
			      struct qcow2_err *err)
{
	u64 reftable_bytes = (u64)h->reftable_clusters << h->cluster_bits;

	if (!h->reftable_clusters)
		return qcow2_fail(err, -EINVAL, "image has no refcount table");
	if (reftable_bytes > QCOW2_MAX_REFTABLE_BYTES)
		return qcow2_fail(err, -EFBIG,
				  "refcount table is larger than 8 MiB");
	if (!h->reftable_offset ||
	    !qcow2_table_fits(h->reftable_offset, reftable_bytes, h->cluster_bits))
		return qcow2_fail(err, -EINVAL,
				  "refcount table offset 0x%llx is invalid",
				  (unsigned long long)h->reftable_offset);
	if (h->nr_snapshots > QCOW2_MAX_SNAPSHOTS)
		return qcow2_fail(err, -EFBIG, "%u snapshots are too many",
				  h->nr_snapshots);
	if (h->nr_snapshots &&
	    (!h->snapshots_offset ||
	     !qcow2_table_fits(h->snapshots_offset, 0, h->cluster_bits)))
		return qcow2_fail(err, -EINVAL,
				  "snapshot table offset 0x%llx is invalid",
				  (unsigned long long)h->snapshots_offset);
	return qcow2_check_l1(h, err);
}

static int qcow2_check_backing(const struct qcow2_header *h,
			       struct qcow2_err *err)
{
	u64 cluster = 1ULL << h->cluster_bits;

	if (!h->backing_offset)
		return 0;
	if (h->backing_len > QCOW2_MAX_BACKING_NAME)
		return qcow2_fail(err, -EINVAL, "backing file name is too long");
	if (h->backing_offset > cluster ||
	    h->backing_len > cluster - h->backing_offset)
		return qcow2_fail(err, -EINVAL,
				  "backing file name lies outside the first cluster");
	return 0;
}

/**
 * qcow2_header_decode() - decode and validate an image header
 * @buf: the first bytes of the file
 * @len: number of bytes in @buf
 * @h: the result
 * @err: receives the reason in words
 *
 * Checks everything that the header alone can tell; the caller compares the
 * tables' offsets with the file's size.
 *
 * Return: 0, or -EINVAL, -EFBIG or -EOPNOTSUPP.
 */
int qcow2_header_decode(const void *buf, size_t len, struct qcow2_header *h,
			struct qcow2_err *err)
{
	const u8 *p = buf;
	int ret;

	if (len < QCOW2_V2_HEADER_LENGTH)
		return qcow2_fail(err, -EINVAL, "file is too short for a qcow2 image");
	if (get_unaligned_be32(p) != QCOW2_MAGIC)
		return qcow2_fail(err, -EINVAL, "file is not a qcow2 image");
	qcow2_header_decode_v2(p, h);
	if (h->version != 2 && h->version != 3)
		return qcow2_fail(err, -EOPNOTSUPP, "qcow2 version %u is unknown",
				  h->version);
	if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS ||
	    h->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
		return qcow2_fail(err, -EINVAL, "cluster size 2^%u is out of range",
				  h->cluster_bits);
	if (h->version == 3) {
		if (len < QCOW2_V3_HEADER_LENGTH + 8)
			return qcow2_fail(err, -EINVAL,
					  "file is too short for a qcow2 image");
		qcow2_header_decode_v3(p, h);
		if (h->header_length < QCOW2_V3_HEADER_LENGTH ||
		    h->header_length > 1U << h->cluster_bits ||
		    h->header_length & 7)
			return qcow2_fail(err, -EINVAL,
					  "header length %u is invalid",
					  h->header_length);
	}
	if (h->refcount_order > QCOW2_MAX_REFCOUNT_ORDER)
		return qcow2_fail(err, -EINVAL, "refcounts of 2^%u bits are invalid",
				  h->refcount_order);
	if (h->size > S64_MAX)
		return qcow2_fail(err, -EFBIG, "virtual size is too large");
	if (h->incompatible & ~QCOW2_INCOMPAT_KNOWN)
		return qcow2_refuse_feature(p, len, h, err);
	ret = qcow2_check_features(h, err);
	if (!ret)
		ret = qcow2_check_tables(h, err);
	if (!ret)
		ret = qcow2_check_backing(h, err);
	return ret;
}

static int qcow2_check_bitmaps(const u8 *p, u32 len,
			       const struct qcow2_header *h,
			       struct qcow2_bitmaps *bitmaps,
			       struct qcow2_err *err)
{
	if (len != 24)
		return qcow2_fail(err, -EINVAL, "bitmaps extension has %u bytes", len);
	bitmaps->nr = get_unaligned_be32(p);
	bitmaps->bytes = get_unaligned_be64(p + 8);
	bitmaps->offset = get_unaligned_be64(p + 16);
	if (!bitmaps->nr || bitmaps->nr > QCOW2_MAX_BITMAPS ||
	    get_unaligned_be32(p + 4) || !bitmaps->offset ||
	    bitmaps->bytes > QCOW2_MAX_BITMAP_DIRECTORY ||
	    bitmaps->bytes < (u64)bitmaps->nr * QCOW2_BITMAP_ENTRY_MIN ||
	    !qcow2_table_fits(bitmaps->offset, bitmaps->bytes, h->cluster_bits))
		return qcow2_fail(err, -EINVAL, "bitmaps extension is invalid");
	return 0;
}

/**
 * qcow2_bitmap_entry_bytes() - length of an entry of the bitmap directory
 * @entry: its first QCOW2_BITMAP_ENTRY_MIN bytes
 * @left: bytes from its start to the end of the directory
 *
 * Return: bytes, padding included, or 0 if it does not fit.
 */
u64 qcow2_bitmap_entry_bytes(const void *entry, u64 left)
{
	const u8 *p = entry;
	u64 bytes = QCOW2_BITMAP_ENTRY_MIN + (u64)get_unaligned_be16(p + 18) +
		    get_unaligned_be32(p + 20);

	bytes = (bytes + 7) & ~7ULL;
	return bytes <= left ? bytes : 0;
}

/**
 * qcow2_header_check_extensions() - validate the header extensions
 * @buf: the first cluster of the file
 * @len: bytes in @buf: the cluster, or what the file has of it
 * @h: the header, decoded from the same bytes
 * @bitmaps: receives where persistent bitmaps are
 * @err: receives the reason in words
 *
 * Return: 0 or -EINVAL.
 */
int qcow2_header_check_extensions(const void *buf, size_t len,
				  const struct qcow2_header *h,
				  struct qcow2_bitmaps *bitmaps,
				  struct qcow2_err *err)
{
	u64 pos = h->header_length, end = qcow2_ext_limit(len, h);
	struct qcow2_ext ext;
	bool luks = false;
	int ret;

	while ((ret = qcow2_ext_next(buf, &pos, end, &ext)) > 0) {
		/* Without the bit nobody vouches for what it says. */
		if (ext.type == QCOW2_EXT_BITMAPS &&
		    h->autoclear & QCOW2_AUTOCLEAR_BITMAPS) {
			ret = qcow2_check_bitmaps(ext.data, ext.bytes, h,
						  bitmaps, err);
			if (ret)
				return ret;
		}
		if (ext.type == QCOW2_EXT_CRYPTO) {
			luks = true;
			if (ext.bytes != 16)
				return qcow2_fail(err, -EINVAL,
						  "encryption extension is invalid");
		}
	}
	if (ret)
		return qcow2_fail(err, ret, "header extension 0x%08x is too long",
				  ext.type);
	if (h->crypt_method == 2 && !luks)
		return qcow2_fail(err, -EINVAL,
				  "LUKS encryption without its header extension");
	return 0;
}

/**
 * qcow2_header_data_name() - the name of the external data file
 * @buf: the first cluster of the file
 * @len: bytes in @buf: the cluster, or what the file has of it
 * @h: the header, decoded from the same bytes, its extensions checked
 * @bytes: receives the length of the name, 0 if there is none
 *
 * Return: the name, in @buf and without a NUL.
 */
const void *qcow2_header_data_name(const void *buf, size_t len,
				   const struct qcow2_header *h, u32 *bytes)
{
	u64 pos = h->header_length, end = qcow2_ext_limit(len, h);
	struct qcow2_ext ext;

	while (qcow2_ext_next(buf, &pos, end, &ext) > 0) {
		if (ext.type != QCOW2_EXT_DATA_FILE)
			continue;
		*bytes = ext.bytes;
		return ext.data;
	}
	*bytes = 0;
	return buf;
}

/**
 * qcow2_snapshot_decode() - decode and validate an entry of the snapshot table
 * @entry: its first QCOW2_SNAPSHOT_MIN bytes
 * @h: header of the image
 * @snapshot: the result
 * @err: receives the reason in words
 *
 * The caller compares offsets with the file's size.
 *
 * Return: 0, -EINVAL or -EFBIG.
 */
int qcow2_snapshot_decode(const void *entry, const struct qcow2_header *h,
			  struct qcow2_snapshot *snapshot, struct qcow2_err *err)
{
	const u8 *p = entry;
	u32 extra = get_unaligned_be32(p + 36);

	snapshot->l1_offset = get_unaligned_be64(p);
	snapshot->l1_entries = get_unaligned_be32(p + 8);
	if (extra > QCOW2_SNAPSHOT_MAX_EXTRA)
		return qcow2_fail(err, -EFBIG,
				  "snapshot has %u bytes of extra data", extra);
	if (h->version >= 3 && extra < QCOW2_SNAPSHOT_MIN_EXTRA)
		return qcow2_fail(err, -EINVAL,
				  "snapshot has only %u bytes of extra data", extra);
	if ((u64)snapshot->l1_entries * 8 > QCOW2_MAX_L1_BYTES)
		return qcow2_fail(err, -EFBIG,
				  "L1 table of a snapshot is larger than 32 MiB");
	if (snapshot->l1_entries &&
	    (!snapshot->l1_offset ||
	     !qcow2_table_fits(snapshot->l1_offset, (u64)snapshot->l1_entries * 8,
			       h->cluster_bits)))
		return qcow2_fail(err, -EINVAL,
				  "L1 table offset 0x%llx of a snapshot is invalid",
				  (unsigned long long)snapshot->l1_offset);
	snapshot->bytes = QCOW2_SNAPSHOT_MIN + extra + get_unaligned_be16(p + 12) +
			  get_unaligned_be16(p + 14);
	return 0;
}

static struct qcow2_entry qcow2_compressed_decode(u64 raw, u32 cluster_bits)
{
	u32 shift = 62 - (cluster_bits - 8);
	u64 host = raw & (BIT_ULL(shift) - 1);
	u32 sectors = (raw & ~QCOW2_ENTRY_COMPRESSED) >> shift;
	struct qcow2_entry e = { .kind = QCOW2_INVALID };

	/* COPIED makes no sense here; the sectors would never be writable. */
	if (raw & QCOW2_ENTRY_COPIED || !host || host > QCOW2_ENTRY_OFFSET)
		return e;
	e.kind = QCOW2_COMPRESSED;
	e.host = host;
	e.bytes = (sectors + 1) * 512 - (host & 511);
	return e;
}

/* The cluster as a whole: whether it has a host cluster. */
static struct qcow2_entry qcow2_extended_decode(const struct qcow2_header *h,
						u64 raw, u64 bitmap,
						struct qcow2_entry e)
{
	u32 alloc = bitmap, zero = bitmap >> QCOW2_SUBCLUSTERS;
	bool here = e.host || (qcow2_is_external(h) && e.copied);

	/* The zero flag of standard entries is reserved here. */
	if (raw & QCOW2_ENTRY_ZERO || alloc & zero || (alloc && !here) ||
	    (e.copied && !here))
		return e;
	e.kind = here ? QCOW2_DATA : QCOW2_UNALLOCATED;
	return e;
}

/**
 * qcow2_l2_decode() - decode an L2 entry
 * @h: header of the image
 * @raw: the entry in host byte order
 * @bitmap: its second half if entries are extended, else ignored
 *
 * Of an extended entry this is what it says of the cluster as a whole: data if
 * there is a host cluster, whatever its subclusters are; qcow2_sub_kind()
 * tells that.
 *
 * Context: any.
 * Return: the entry; kind QCOW2_INVALID if it breaks the specification.
 */
struct qcow2_entry qcow2_l2_decode(const struct qcow2_header *h, u64 raw,
				   u64 bitmap)
{
	struct qcow2_entry e = { .kind = QCOW2_INVALID };
	bool extended = qcow2_is_extended(h), here;

	if (raw & QCOW2_ENTRY_COMPRESSED) {
		if (qcow2_is_external(h) || (extended && bitmap))
			return e;
		return qcow2_compressed_decode(raw, h->cluster_bits);
	}
	e.host = raw & QCOW2_ENTRY_OFFSET;
	e.copied = raw & QCOW2_ENTRY_COPIED;
	if (raw & QCOW2_L2_RESERVED || e.host & (BIT_ULL(h->cluster_bits) - 1))
		return e;
	if (extended)
		return qcow2_extended_decode(h, raw, bitmap, e);
	/* In a data file of its own a cluster may lie at offset 0. */
	here = e.host || (qcow2_is_external(h) && e.copied);
	if ((e.copied && !here) || (raw & QCOW2_ENTRY_ZERO && h->version < 3))
		return e;
	if (raw & QCOW2_ENTRY_ZERO)
		e.kind = here ? QCOW2_ZERO_ALLOC : QCOW2_ZERO_PLAIN;
	else
		e.kind = here ? QCOW2_DATA : QCOW2_UNALLOCATED;
	return e;
}

/**
 * qcow2_sub_kind() - what a valid extended entry says of a subcluster
 * @bitmap: its second half
 * @sub: number of the subcluster
 */
enum qcow2_kind qcow2_sub_kind(u64 bitmap, u32 sub)
{
	if (bitmap & BIT_ULL(sub))
		return QCOW2_DATA;
	if (bitmap & BIT_ULL(sub + QCOW2_SUBCLUSTERS))
		return QCOW2_ZERO_PLAIN;
	return QCOW2_UNALLOCATED;
}

/**
 * qcow2_sub_run() - how many subclusters are of the same kind
 * @bitmap: second half of a valid extended entry
 * @sub: number of the first one
 *
 * Return: 1 to 32 - @sub.
 */
u32 qcow2_sub_run(u64 bitmap, u32 sub)
{
	u32 alloc = (u32)bitmap >> sub;
	u32 zero = (u32)(bitmap >> QCOW2_SUBCLUSTERS) >> sub;
	u32 left = QCOW2_SUBCLUSTERS - sub;
	u32 differ = (alloc ^ -(alloc & 1)) | (zero ^ -(zero & 1));

	return differ ? min_t(u32, __ffs(differ), left) : left;
}

/**
 * qcow2_sub_mask() - a run of subclusters as bits
 * @first: number of the first one
 * @end: number after the last one, at most 32
 *
 * Return: bits in the lower half, as the allocated ones have them.
 */
u64 qcow2_sub_mask(u32 first, u32 end)
{
	return BIT_ULL(end) - BIT_ULL(first);
}

/**
 * qcow2_l1_valid() - may this L1 entry be used?
 * @raw: the entry in host byte order
 * @cluster_bits: of the image
 */
bool qcow2_l1_valid(u64 raw, u32 cluster_bits)
{
	u64 offset = raw & QCOW2_ENTRY_OFFSET;

	if (raw & QCOW2_L1_RESERVED || offset & (BIT_ULL(cluster_bits) - 1))
		return false;
	return offset || !(raw & QCOW2_ENTRY_COPIED);
}

/**
 * qcow2_reftable_valid() - may this refcount table entry be used?
 * @raw: the entry in host byte order
 * @cluster_bits: of the image
 */
bool qcow2_reftable_valid(u64 raw, u32 cluster_bits)
{
	return !(raw & QCOW2_REFTABLE_RESERVED) &&
	       !(raw & (BIT_ULL(cluster_bits) - 1)) &&
	       raw <= QCOW2_ENTRY_OFFSET;
}

/**
 * qcow2_refcount_get() - read one refcount
 * @table: refcounts as they are on disk
 * @index: which one, counted from @table
 * @order: log2 of their width in bits
 *
 * Widths below a byte fill it from the least significant bit.
 */
u64 qcow2_refcount_get(const void *table, u32 index, u32 order)
{
	const u8 *p = table;
	u32 bits = 1U << order;

	switch (order) {
	case 3:
		return p[index];
	case 4:
		return get_unaligned_be16(p + 2 * (size_t)index);
	case 5:
		return get_unaligned_be32(p + 4 * (size_t)index);
	case 6:
		return get_unaligned_be64(p + 8 * (size_t)index);
	default:
		return p[index >> (3 - order)] >> ((index << order) & 7) &
		       ((1U << bits) - 1);
	}
}

/**
 * qcow2_refcount_set() - write one refcount
 * @table: refcounts as they are on disk
 * @index: which one, counted from @table
 * @order: log2 of their width in bits
 * @value: at most qcow2_refcount_max(@order)
 */
void qcow2_refcount_set(void *table, u32 index, u32 order, u64 value)
{
	u8 *p = table;
	u32 shift, mask;

	switch (order) {
	case 3:
		p[index] = value;
		return;
	case 4:
		put_unaligned_be16(value, p + 2 * (size_t)index);
		return;
	case 5:
		put_unaligned_be32(value, p + 4 * (size_t)index);
		return;
	case 6:
		put_unaligned_be64(value, p + 8 * (size_t)index);
		return;
	default:
		shift = (index << order) & 7;
		mask = ((1U << (1U << order)) - 1) << shift;
		p += index >> (3 - order);
		*p = (*p & ~mask) | (value << shift & mask);
	}
}
