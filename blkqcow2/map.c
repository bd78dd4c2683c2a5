// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapper: guest offset to extent, through the chain of layers.
 *
 * A lookup in tables that are in memory takes no lock. What it finds may be
 * freed meanwhile; the epoch that every request enters keeps the clusters
 * from being used again until the request has ended.
 */
#include <linux/rcupdate.h>
#include "qcow2.h"

/**
 * qcow2_l2_slice_bits() - log2 of the L2 entries in a slice
 * @layer: a qcow2 layer
 */
u32 qcow2_l2_slice_bits(const struct qcow2_layer *layer)
{
	return layer->l2.slice_bits - layer->entry_bits;
}

/**
 * qcow2_l2_index() - position of a cluster's entry in its slice
 * @layer: a qcow2 layer
 * @guest: guest offset in bytes
 */
u32 qcow2_l2_index(struct qcow2_layer *layer, u64 guest)
{
	return (guest >> layer->cluster_bits) &
	       ((1U << qcow2_l2_slice_bits(layer)) - 1);
}

static u64 qcow2_l2_key(struct qcow2_layer *layer, u64 guest)
{
	return guest >> (layer->cluster_bits + qcow2_l2_slice_bits(layer));
}

static u64 qcow2_l1_entry(struct qcow2_layer *layer, u64 guest)
{
	u32 index = guest >> (layer->cluster_bits + layer->l2_bits);

	return be64_to_cpu(READ_ONCE(layer->l1.entries[index]));
}

/**
 * qcow2_l2_host() - host offset of an L2 slice
 * @layer: a qcow2 layer
 * @key: of the slice
 *
 * Return: bytes, 0 if there is no L2 table, -EIO if the L1 entry is invalid.
 */
s64 qcow2_l2_host(struct qcow2_layer *layer, u64 key)
{
	u32 slices_bits = layer->l2_bits - qcow2_l2_slice_bits(layer);
	u64 guest = key << (layer->cluster_bits + qcow2_l2_slice_bits(layer));
	u64 raw = qcow2_l1_entry(layer, guest);
	u64 table = raw & QCOW2_ENTRY_OFFSET;

	if (!qcow2_l1_valid(raw, layer->cluster_bits) ||
	    (table && (table + qcow2_cluster_size(layer) > qcow2_layer_end(layer) ||
		       (layer->index == 0 && layer->image->writable &&
			qcow2_overlaps_table(layer->image,
					     table >> layer->cluster_bits))))) {
		qcow2_image_corrupt(layer, "L1 entry", guest);
		return -EIO;
	}
	if (!table)
		return 0;
	return table + ((key & ((1ULL << slices_bits) - 1)) <<
			layer->l2.slice_bits);
}

/**
 * qcow2_l2_pin() - pin the slice that holds a cluster's entry
 * @layer: a qcow2 layer
 * @guest: guest offset in bytes
 *
 * Context: may sleep and do I/O.
 * Return: see qcow2_cache_pin().
 */
struct qcow2_slice *qcow2_l2_pin(struct qcow2_layer *layer, u64 guest)
{
	return qcow2_cache_pin(&layer->l2, qcow2_l2_key(layer, guest));
}

/**
 * qcow2_l2_pin_cached() - the same if it is in memory
 * @layer: a qcow2 layer
 * @guest: guest offset in bytes
 *
 * Context: any; does not sleep.
 * Return: the slice, or NULL.
 */
struct qcow2_slice *qcow2_l2_pin_cached(struct qcow2_layer *layer, u64 guest)
{
	return qcow2_cache_pin_cached(&layer->l2, qcow2_l2_key(layer, guest));
}

/* Both halves of an extended entry are of the same state of it. */
static u64 qcow2_slice_entry(struct qcow2_layer *layer,
			     struct qcow2_slice *slice, u32 index, u64 *bitmap)
{
	const __be64 *entries = slice->data;
	unsigned int seq;
	u64 raw;

	if (!qcow2_is_extended(&layer->header)) {
		*bitmap = 0;
		return be64_to_cpu(READ_ONCE(entries[index]));
	}
	do {
		seq = read_seqcount_begin(&slice->seq);
		raw = be64_to_cpu(READ_ONCE(entries[2 * index]));
		*bitmap = be64_to_cpu(READ_ONCE(entries[2 * index + 1]));
	} while (read_seqcount_retry(&slice->seq, seq));
	return raw;
}

static bool qcow2_has_host(enum qcow2_kind kind)
{
	return kind == QCOW2_DATA || kind == QCOW2_ZERO_ALLOC;
}

/*
 * How many clusters from @index on, @max at most, continue the entry @raw: the
 * same flags, and the next host cluster if there is one.
 */
static u32 qcow2_run(struct qcow2_layer *layer, struct qcow2_slice *slice,
		     u32 index, u32 max, u64 raw, enum qcow2_kind kind)
{
	u64 step = qcow2_has_host(kind) ? qcow2_cluster_size(layer) : 0;
	u64 bitmap;
	u32 n;

	if (kind == QCOW2_COMPRESSED)
		return 1;
	for (n = 1; n < max; n++) {
		raw += step;
		if (qcow2_slice_entry(layer, slice, index + n, &bitmap) != raw)
			break;
		/* The second half may be invalid all the same. */
		if (qcow2_is_extended(&layer->header) &&
		    qcow2_l2_decode(&layer->header, raw, bitmap).kind != kind)
			break;
	}
	return n;
}

/*
 * The same for subclusters, in bytes: from subcluster @sub of the entry @raw,
 * @bitmap on, as far as they are of its kind.
 */
static u64 qcow2_sub_extent(struct qcow2_layer *layer,
			    struct qcow2_slice *slice, u32 index, u32 max,
			    u64 raw, u64 bitmap, u32 sub)
{
	enum qcow2_kind kind = qcow2_sub_kind(bitmap, sub);
	u64 step = kind == QCOW2_DATA ? qcow2_cluster_size(layer) : 0;
	u32 run = qcow2_sub_run(bitmap, sub), n;
	u64 subs = run;

	for (n = 1; n < max && sub + run == QCOW2_SUBCLUSTERS; n++) {
		u64 next = qcow2_slice_entry(layer, slice, index + n, &bitmap);

		raw += step;
		sub = 0;
		if (next != raw || qcow2_sub_kind(bitmap, 0) != kind ||
		    qcow2_l2_decode(&layer->header, next, bitmap).kind ==
		    QCOW2_INVALID)
			break;
		run = qcow2_sub_run(bitmap, 0);
		subs += run;
	}
	return subs << qcow2_sub_bits(layer);
}

/*
 * No cluster that may be written or freed holds metadata. Whether anything in
 * the slice does has been looked up when it was read.
 */
static int qcow2_check_overlap(struct qcow2_layer *layer,
			       struct qcow2_slice *slice, u64 guest, u64 host,
			       u64 bytes)
{
	u64 clusters = (qcow2_in_cluster(layer, host) + bytes +
			qcow2_cluster_size(layer) - 1) >> layer->cluster_bits;

	if (likely(!test_bit(QCOW2_SLICE_SUSPECT, &slice->flags)) ||
	    !qcow2_overlaps(layer->image, host >> layer->cluster_bits, clusters))
		return 0;
	qcow2_image_corrupt(layer, "L2 entry names metadata", guest);
	return -EIO;
}

/*
 * The last cluster of a file may be cut short; it continues with zeroes. One
 * that begins beyond the end of the file does not exist.
 */
static int qcow2_check_bounds(struct qcow2_layer *layer,
			      struct qcow2_slice *slice, u64 guest,
			      struct qcow2_extent *ext)
{
	u64 end = round_up(qcow2_layer_end(layer), qcow2_cluster_size(layer));

	if (ext->kind == QCOW2_DATA) {
		if (ext->host >= end) {
			qcow2_image_corrupt(layer,
					    "L2 entry beyond the end of the file",
					    guest);
			return -EIO;
		}
		ext->len = min(ext->len, end - ext->host);
	}
	return qcow2_check_overlap(layer, slice, guest, ext->host, ext->len);
}

/* In an external data file everything has its place, and belongs to nobody else. */
static int qcow2_check_external(struct qcow2_layer *layer, u64 guest,
				struct qcow2_extent *ext)
{
	if (ext->host != guest) {
		qcow2_image_corrupt(layer,
				    "L2 entry does not name its place in the data file",
				    guest);
		return -EIO;
	}
	ext->copied = true;
	return 0;
}

/*
 * Is what the slice says on disk, and the L1 entry that leads to it? To be
 * asked after the entry has been read: see qcow2_cache_dirty().
 */
static bool qcow2_slice_durable(struct qcow2_layer *layer,
				struct qcow2_slice *slice, u64 guest)
{
	u32 l1_block = guest >> (layer->cluster_bits + layer->l2_bits +
				 layer->l2.slice_bits - 3);

	/* The entries first, then whether they are dirty. */
	smp_rmb();
	if (READ_ONCE(slice->flags) &
	    (BIT(QCOW2_SLICE_DIRTY) | BIT(QCOW2_SLICE_WRITEBACK)))
		return false;
	if (test_bit(l1_block, layer->l1.dirty))
		return false;
	/* A commit sets the one before it clears the other. */
	smp_rmb();
	/* One that has failed has set the other again before it clears the one. */
	if (smp_load_acquire(&layer->image->commit.l1_busy))
		return false;
	return !test_bit(l1_block, layer->l1.dirty);
}

/* @whole: of extended entries, what they say of clusters as a whole. */
static int qcow2_map_slice(struct qcow2_layer *layer, struct qcow2_slice *slice,
			   u64 guest, u64 len, bool whole,
			   struct qcow2_extent *ext)
{
	bool subs = qcow2_is_extended(&layer->header) && !whole;
	u32 index = qcow2_l2_index(layer, guest);
	u64 in_cluster = qcow2_in_cluster(layer, guest), skip, bytes, raw, bitmap;
	u64 clusters = (in_cluster + len + qcow2_cluster_size(layer) - 1) >>
		       layer->cluster_bits;
	u32 max = min_t(u64, clusters,
			(1U << qcow2_l2_slice_bits(layer)) - index);
	u32 sub = in_cluster >> qcow2_sub_bits(layer);
	struct qcow2_entry e;

	raw = qcow2_slice_entry(layer, slice, index, &bitmap);
	e = qcow2_l2_decode(&layer->header, raw, bitmap);
	if (e.kind == QCOW2_INVALID) {
		qcow2_image_corrupt(layer, "L2 entry", guest);
		return -EIO;
	}
	skip = in_cluster;
	if (subs && e.kind != QCOW2_COMPRESSED) {
		e.kind = qcow2_sub_kind(bitmap, sub);
		bytes = qcow2_sub_extent(layer, slice, index, max, raw, bitmap,
					 sub);
		skip &= (1ULL << qcow2_sub_bits(layer)) - 1;
	} else {
		bytes = (u64)qcow2_run(layer, slice, index, max, raw, e.kind) <<
			layer->cluster_bits;
	}
	ext->kind = e.kind;
	ext->copied = e.copied;
	ext->bytes = e.bytes;
	ext->len = min(len, bytes - skip);
	ext->host = e.host;
	ext->durable = qcow2_slice_durable(layer, slice, guest);
	if (e.kind == QCOW2_COMPRESSED)
		return qcow2_check_overlap(layer, slice, guest, e.host, e.bytes);
	if (!qcow2_has_host(e.kind))
		return 0;
	ext->host += in_cluster;
	return qcow2_is_external(&layer->header) ?
	       qcow2_check_external(layer, guest, ext) :
	       qcow2_check_bounds(layer, slice, guest, ext);
}

/*
 * What nearly every request finds: a part of one cluster that has data. False if
 * it is anything else, or not beyond doubt: that is for qcow2_map_slice().
 */
static bool qcow2_map_plain(struct qcow2_layer *layer, struct qcow2_slice *slice,
			    u64 guest, u64 len, struct qcow2_extent *ext)
{
	u64 in_cluster = qcow2_in_cluster(layer, guest);
	const __be64 *entries = slice->data;
	u64 raw, host;

	if (!layer->plain || in_cluster + len > qcow2_cluster_size(layer))
		return false;
	raw = be64_to_cpu(READ_ONCE(entries[qcow2_l2_index(layer, guest)]));
	host = raw & ~QCOW2_ENTRY_COPIED;
	if (!host || host & ~QCOW2_ENTRY_OFFSET || qcow2_in_cluster(layer, host) ||
	    host + qcow2_cluster_size(layer) > qcow2_layer_end(layer) ||
	    test_bit(QCOW2_SLICE_SUSPECT, &slice->flags))
		return false;
	ext->kind = QCOW2_DATA;
	ext->copied = raw & QCOW2_ENTRY_COPIED;
	ext->durable = qcow2_slice_durable(layer, slice, guest);
	ext->host = host + in_cluster;
	ext->len = len;
	return true;
}

static int qcow2_map_qcow2(struct qcow2_layer *layer, u64 guest, u64 len,
			   bool cached_only, struct qcow2_extent *ext)
{
	u64 table_bytes = 1ULL << (layer->cluster_bits + layer->l2_bits);
	struct qcow2_slice *slice;
	int ret;

	if (!qcow2_l1_entry(layer, guest)) {
		ext->kind = QCOW2_UNALLOCATED;
		ext->len = min(len, table_bytes - (guest & (table_bytes - 1)));
		return 0;
	}
	rcu_read_lock();
	slice = qcow2_cache_peek(&layer->l2, qcow2_l2_key(layer, guest));
	if (slice) {
		ret = qcow2_map_plain(layer, slice, guest, len, ext) ? 0 :
		      qcow2_map_slice(layer, slice, guest, len, false, ext);
		rcu_read_unlock();
		return ret;
	}
	rcu_read_unlock();
	if (cached_only)
		return -EAGAIN;
	slice = qcow2_l2_pin(layer, guest);
	if (IS_ERR(slice))
		return PTR_ERR(slice);
	ret = qcow2_map_slice(layer, slice, guest, len, false, ext);
	qcow2_cache_unpin(slice);
	return ret;
}

static int qcow2_map_layer(struct qcow2_layer *layer, u64 guest, u64 len,
			   bool cached_only, struct qcow2_extent *ext)
{
	*ext = (struct qcow2_extent){ .layer = layer };
	if (layer->format == QCOW2_FORMAT_QCOW2)
		return qcow2_map_qcow2(layer, guest, len, cached_only, ext);
	ext->kind = QCOW2_DATA;
	ext->host = guest;
	ext->len = len;
	ext->durable = true;
	return 0;
}

/**
 * qcow2_map_clusters() - what does layer 0 say about clusters as a whole?
 * @image: the image
 * @slice: pinned, with their entries
 * @guest: guest offset of the first one
 * @nr: clusters
 * @ext: the answer for a part that begins at @guest, whole clusters
 *
 * Where entries are extended, clusters with a host cluster are data whatever
 * their subclusters are, and all others but compressed ones unallocated.
 *
 * Context: any.
 * Return: 0 or -EIO.
 */
int qcow2_map_clusters(struct qcow2_image *image, struct qcow2_slice *slice,
		       u64 guest, u32 nr, struct qcow2_extent *ext)
{
	struct qcow2_layer *layer = qcow2_active(image);

	*ext = (struct qcow2_extent){ .layer = layer };
	return qcow2_map_slice(layer, slice, guest,
			       (u64)nr << layer->cluster_bits, true, ext);
}

/**
 * qcow2_sub_alloc() - which subclusters of a cluster have data in layer 0?
 * @image: the image; entries are extended
 * @slice: pinned, with the entry
 * @guest: guest offset in the cluster
 *
 * Return: a bit for each.
 */
u32 qcow2_sub_alloc(struct qcow2_image *image, struct qcow2_slice *slice,
		    u64 guest)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u64 bitmap;

	qcow2_slice_entry(layer, slice, qcow2_l2_index(layer, guest), &bitmap);
	return bitmap;
}

/**
 * qcow2_map_active() - what does layer 0 alone say about a range?
 * @image: the image
 * @guest: guest offset in bytes
 * @len: bytes; within the disk
 * @cached_only: do not sleep, do no I/O
 * @ext: the answer for a part that begins at @guest
 *
 * Context: any if @cached_only, else may sleep and do I/O.
 * Return: see qcow2_map().
 */
int qcow2_map_active(struct qcow2_image *image, u64 guest, u64 len,
		     bool cached_only, struct qcow2_extent *ext)
{
	return qcow2_map_layer(qcow2_active(image), guest, len, cached_only, ext);
}

/**
 * qcow2_map() - find out where a range is
 * @image: the image
 * @first: the layer to begin with, 0 for what the guest sees
 * @guest: guest offset in bytes
 * @len: bytes, at least 1; within the disk
 * @cached_only: do not sleep, do no I/O
 * @ext: the answer for a part that begins at @guest
 *
 * Context: any if @cached_only, else may sleep and do I/O.
 * Return: 0, -EAGAIN if @cached_only and a table is not in memory, -EIO if
 * the image contradicts itself, or another negative errno.
 */
int qcow2_map(struct qcow2_image *image, u32 first, u64 guest, u64 len,
	      bool cached_only, struct qcow2_extent *ext)
{
	u32 i;

	for (i = first; i < image->chain->nr; i++) {
		struct qcow2_layer *layer = &image->layers[i];
		int ret;

		/* Beyond its end a layer hides what is under it. */
		if (guest >= layer->size)
			break;
		len = min(len, layer->size - guest);
		ret = qcow2_map_layer(layer, guest, len, cached_only, ext);
		if (ret)
			return ret;
		if (ext->kind != QCOW2_UNALLOCATED)
			return 0;
		len = ext->len;
	}
	*ext = (struct qcow2_extent){ .kind = QCOW2_UNALLOCATED, .len = len };
	return 0;
}

/**
 * qcow2_is_zero() - does a range read as zeroes, as far as one look can tell?
 * @image: the image
 * @first: the layer to begin with; beyond the last one all is zeroes
 * @guest: guest offset in bytes
 * @len: bytes, at least 1
 * @cached_only: do not sleep, do no I/O
 *
 * Context: as qcow2_map().
 * Return: true if all of it does for sure.
 */
bool qcow2_is_zero(struct qcow2_image *image, u32 first, u64 guest, u64 len,
		   bool cached_only)
{
	struct qcow2_extent ext;

	if (first >= image->chain->nr)
		return true;
	if (qcow2_map(image, first, guest, len, cached_only, &ext))
		return false;
	return ext.len >= len && qcow2_reads_zero(&ext);
}
