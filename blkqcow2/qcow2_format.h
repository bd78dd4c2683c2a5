/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The QCOW2 on-disk format: constants, decoders, encoders.
 *
 * Nothing here does I/O, allocates or sleeps, and everything it is handed is
 * untrusted. The same source is built into the module, into the KUnit suite
 * and into userspace for fuzzing.
 */
#ifndef _QCOW2_FORMAT_H
#define _QCOW2_FORMAT_H

#ifdef __KERNEL__
#include <linux/bits.h>
#include <linux/types.h>
#else
#include "format_user.h"
#endif

#define QCOW2_MAGIC			0x514649fbU

#define QCOW2_MIN_CLUSTER_BITS		9
#define QCOW2_MAX_CLUSTER_BITS		21
#define QCOW2_MAX_REFCOUNT_ORDER	6
#define QCOW2_MAX_L1_BYTES		(32U << 20)
#define QCOW2_MAX_REFTABLE_BYTES	(8U << 20)
#define QCOW2_MAX_SNAPSHOTS		65536U
#define QCOW2_MAX_BACKING_NAME		1023U
#define QCOW2_MAX_SNAPSHOTS_BYTES	(64U << 20)
#define QCOW2_SNAPSHOT_MIN		40U
#define QCOW2_SNAPSHOT_MIN_EXTRA	16U
#define QCOW2_SNAPSHOT_MAX_EXTRA	1024U
#define QCOW2_BITMAP_ENTRY_MIN		24U
#define QCOW2_MAX_BITMAPS		65535U
#define QCOW2_MAX_BITMAP_DIRECTORY	(1024U * QCOW2_MAX_BITMAPS)
#define QCOW2_V2_HEADER_LENGTH		72U
#define QCOW2_V3_HEADER_LENGTH		104U

/* The part of the header that is read to learn the cluster size. */
#define QCOW2_HEADER_PROBE_BYTES	4096U

#define QCOW2_INCOMPAT_DIRTY		BIT_ULL(0)
#define QCOW2_INCOMPAT_CORRUPT		BIT_ULL(1)
#define QCOW2_INCOMPAT_DATA_FILE	BIT_ULL(2)
#define QCOW2_INCOMPAT_COMPRESSION	BIT_ULL(3)
#define QCOW2_INCOMPAT_EXTL2		BIT_ULL(4)
#define QCOW2_INCOMPAT_KNOWN		GENMASK_ULL(4, 0)

#define QCOW2_COMPAT_LAZY_REFCOUNTS	BIT_ULL(0)

#define QCOW2_AUTOCLEAR_BITMAPS		BIT_ULL(0)
#define QCOW2_AUTOCLEAR_RAW_DATA	BIT_ULL(1)

/* Table entries, host byte order. */
#define QCOW2_ENTRY_COPIED		BIT_ULL(63)
#define QCOW2_ENTRY_COMPRESSED		BIT_ULL(62)
#define QCOW2_ENTRY_ZERO		BIT_ULL(0)
#define QCOW2_ENTRY_OFFSET		0x00fffffffffffe00ULL
#define QCOW2_L1_RESERVED		0x7f000000000001ffULL
#define QCOW2_L2_RESERVED		0x3f000000000001feULL
#define QCOW2_REFTABLE_RESERVED		0x00000000000001ffULL

/* Extended L2 entries: allocated subclusters low, zero ones high. */
#define QCOW2_SUBCLUSTERS_BITS		5
#define QCOW2_SUBCLUSTERS		32U

struct qcow2_err;

/**
 * struct qcow2_header - the header, decoded and validated
 * @size: virtual size in bytes
 * @backing_offset: of the backing file name, 0 if there is none
 * @l1_offset: host offset of the active L1 table
 * @reftable_offset: host offset of the refcount table
 * @snapshots_offset: host offset of the snapshot table
 * @incompatible: feature bits
 * @compatible: feature bits
 * @autoclear: feature bits
 * @version: 2 or 3
 * @cluster_bits: log2 of the cluster size in bytes
 * @backing_len: bytes in the backing file name
 * @crypt_method: 0 none, 1 AES, 2 LUKS
 * @l1_entries: entries in the active L1 table
 * @reftable_clusters: clusters that the refcount table occupies
 * @nr_snapshots: internal snapshots
 * @refcount_order: log2 of the width of a refcount in bits
 * @header_length: bytes
 * @compression_type: 0 zlib, 1 zstd
 */
struct qcow2_header {
	u64 size;
	u64 backing_offset;
	u64 l1_offset;
	u64 reftable_offset;
	u64 snapshots_offset;
	u64 incompatible;
	u64 compatible;
	u64 autoclear;
	u32 version;
	u32 cluster_bits;
	u32 backing_len;
	u32 crypt_method;
	u32 l1_entries;
	u32 reftable_clusters;
	u32 nr_snapshots;
	u32 refcount_order;
	u32 header_length;
	u32 compression_type;
};

/**
 * struct qcow2_bitmaps - the bitmaps extension of a header
 * @nr: persistent bitmaps, 0 if there is no such extension
 * @offset: host offset of their directory
 * @bytes: length of it
 */
struct qcow2_bitmaps {
	u32 nr;
	u64 offset;
	u64 bytes;
};

/**
 * struct qcow2_snapshot - an entry of the snapshot table
 * @l1_offset: host offset of its L1 table
 * @l1_entries: entries in that table
 * @bytes: length of the entry, without the padding before the next one
 */
struct qcow2_snapshot {
	u64 l1_offset;
	u32 l1_entries;
	u32 bytes;
};

/* What an L2 entry says about its cluster, or about a part of it. */
enum qcow2_kind {
	QCOW2_UNALLOCATED,
	QCOW2_ZERO_PLAIN,
	QCOW2_ZERO_ALLOC,
	QCOW2_DATA,
	QCOW2_COMPRESSED,
	QCOW2_INVALID,
};

/**
 * struct qcow2_entry - an L2 entry, decoded
 * @kind: see &enum qcow2_kind
 * @copied: the refcount of the cluster is known to be exactly one
 * @host: host offset in bytes (data, zero with a cluster, compressed)
 * @bytes: compressed only: upper bound of the stream's length
 */
struct qcow2_entry {
	enum qcow2_kind kind;
	bool copied;
	u64 host;
	u32 bytes;
};

int qcow2_header_decode(const void *buf, size_t len, struct qcow2_header *h,
			struct qcow2_err *err);
int qcow2_header_check_extensions(const void *buf, size_t len,
				  const struct qcow2_header *h,
				  struct qcow2_bitmaps *bitmaps,
				  struct qcow2_err *err);
const void *qcow2_header_data_name(const void *buf, size_t len,
				   const struct qcow2_header *h, u32 *bytes);
int qcow2_snapshot_decode(const void *entry, const struct qcow2_header *h,
			  struct qcow2_snapshot *snapshot, struct qcow2_err *err);
u64 qcow2_bitmap_entry_bytes(const void *entry, u64 left);
struct qcow2_entry qcow2_l2_decode(const struct qcow2_header *h, u64 raw,
				   u64 bitmap);
enum qcow2_kind qcow2_sub_kind(u64 bitmap, u32 sub);
u32 qcow2_sub_run(u64 bitmap, u32 sub);
u64 qcow2_sub_mask(u32 first, u32 end);
bool qcow2_l1_valid(u64 raw, u32 cluster_bits);
bool qcow2_reftable_valid(u64 raw, u32 cluster_bits);
u64 qcow2_refcount_get(const void *table, u32 index, u32 order);
void qcow2_refcount_set(void *table, u32 index, u32 order, u64 value);

static inline bool qcow2_is_extended(const struct qcow2_header *h)
{
	return h->incompatible & QCOW2_INCOMPAT_EXTL2;
}

static inline bool qcow2_is_external(const struct qcow2_header *h)
{
	return h->incompatible & QCOW2_INCOMPAT_DATA_FILE;
}

static inline u64 qcow2_refcount_max(u32 order)
{
	return order == 6 ? ~0ULL : BIT_ULL(1U << order) - 1;
}

#endif /* _QCOW2_FORMAT_H */
