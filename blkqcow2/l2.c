// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of the active layer's L1 and L2 tables.
 *
 * An L2 table that is written must belong to the active L1 alone. One that is
 * missing is made, and one that a snapshot shares is copied, before any of its
 * entries is changed. What a new table holds is in the file before the L1 entry
 * names it in memory, and the barrier of the commit that writes the L1 entry
 * makes it durable before.
 */
#include <linux/slab.h>
#include "qcow2.h"

/**
 * qcow2_free_alloc() - note a run of clusters to be freed
 * @first: first host cluster number
 * @nr: clusters
 *
 * Return: the note, or NULL.
 */
struct qcow2_free *qcow2_free_alloc(u64 first, u64 nr)
{
	struct qcow2_free *run = kmalloc_obj(*run, GFP_NOIO);

	if (run) {
		run->first = first;
		run->nr = nr;
		run->punch = false;
	}
	return run;
}

/* To be freed when a commit has written the entry that named it before. */
static void qcow2_note_freed(struct qcow2_image *image, struct qcow2_free *run)
{
	lockdep_assert_held(&qcow2_active(image)->l2.lock);
	list_add_tail(&run->node, &image->commit.freed);
	atomic_long_add(run->nr, &image->alloc.nr_freed);
}

/* The subclusters of @link that lie in its cluster number @i, as bits. */
static u64 qcow2_link_mask(struct qcow2_layer *layer,
			   const struct qcow2_link *link, u32 i)
{
	u64 start = (u64)i << layer->cluster_bits;
	u64 end = start + qcow2_cluster_size(layer);
	u64 sub = BIT_ULL(qcow2_sub_bits(layer));
	u64 lo = max(link->lo, start), hi = min(link->hi, end);

	if (lo >= hi)
		return 0;
	return qcow2_sub_mask((lo - start) >> qcow2_sub_bits(layer),
			      (hi - start + sub - 1) >> qcow2_sub_bits(layer));
}

static u64 qcow2_link_bitmap(u64 bitmap, u64 mask, enum qcow2_kind kind)
{
	bitmap &= ~(mask | mask << QCOW2_SUBCLUSTERS);
	if (kind == QCOW2_DATA)
		return bitmap | mask;
	if (kind == QCOW2_ZERO_PLAIN)
		return bitmap | mask << QCOW2_SUBCLUSTERS;
	return bitmap;
}

static void qcow2_link_extended(struct qcow2_layer *layer,
				struct qcow2_slice *slice,
				const struct qcow2_link *link)
{
	u32 index = qcow2_l2_index(layer, link->guest), i;
	u64 raw = link->raw;

	for (i = 0; i < link->nr; i++, raw += link->step) {
		__be64 *entry = (__be64 *)slice->data + 2 * (index + i);
		u64 bitmap = qcow2_link_bitmap(be64_to_cpu(entry[1]),
					       qcow2_link_mask(layer, link, i),
					       link->kind);

		write_seqcount_begin(&slice->seq);
		if (!link->keep)
			WRITE_ONCE(entry[0], cpu_to_be64(raw));
		WRITE_ONCE(entry[1], cpu_to_be64(bitmap));
		write_seqcount_end(&slice->seq);
	}
}

static void qcow2_link_standard(struct qcow2_layer *layer,
				struct qcow2_slice *slice,
				const struct qcow2_link *link)
{
	u32 index = qcow2_l2_index(layer, link->guest), i;
	__be64 *entries = slice->data;
	u64 raw = link->raw;

	for (i = 0; i < link->nr; i++, raw += link->step)
		WRITE_ONCE(entries[index + i], cpu_to_be64(raw));
}

/**
 * qcow2_l2_link() - change L2 entries
 * @image: the image
 * @slice: pinned; of a table that belongs to the active L1 alone
 * @link: what changes
 *
 * The data that the entries name must have been written.
 *
 * Context: any.
 */
void qcow2_l2_link(struct qcow2_image *image, struct qcow2_slice *slice,
		   const struct qcow2_link *link)
{
	struct qcow2_layer *layer = qcow2_active(image);
	unsigned long flags;

	spin_lock_irqsave(&layer->l2.lock, flags);
	qcow2_cache_dirty(&layer->l2, slice);
	if (qcow2_is_extended(&layer->header))
		qcow2_link_extended(layer, slice, link);
	else
		qcow2_link_standard(layer, slice, link);
	if (link->old)
		qcow2_note_freed(image, link->old);
	spin_unlock_irqrestore(&layer->l2.lock, flags);
	qcow2_commit_soon(image);
}

static void qcow2_l1_set(struct qcow2_image *image, u32 index, u64 host,
			 struct qcow2_free *old)
{
	struct qcow2_layer *layer = qcow2_active(image);

	spin_lock_irq(&layer->l2.lock);
	qcow2_overlap_set(image, &layer->l1, index, host | QCOW2_ENTRY_COPIED);
	qcow2_table_mark(&layer->l1, index, layer->l2.slice_bits);
	if (old)
		qcow2_note_freed(image, old);
	spin_unlock_irq(&layer->l2.lock);
	qcow2_commit_soon(image);
}

static int qcow2_copy_cluster(struct qcow2_layer *layer, u64 from, u64 to)
{
	u64 left = qcow2_cluster_size(layer);
	size_t chunk = min_t(u64, left, QCOW2_BOUNCE_BYTES);
	void *buf = qcow2_bounce_alloc(&chunk);
	int ret = 0;

	if (!buf)
		return -ENOMEM;
	for (; left && !ret; left -= chunk, from += chunk, to += chunk) {
		ret = qcow2_io_buf(&layer->meta, ITER_DEST, from, buf, chunk);
		if (!ret)
			ret = qcow2_io_buf(&layer->meta, ITER_SOURCE, to, buf, chunk);
	}
	qcow2_buf_free(buf);
	return ret;
}

/* A new table: blank, or a copy of the one at @from. */
static int qcow2_l2_new(struct qcow2_image *image, u32 index, u64 from)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_free *old = NULL;
	u64 cluster, nr, host;
	bool fresh;
	int ret;

	if (from) {
		old = qcow2_free_alloc(from >> layer->cluster_bits, 1);
		if (!old)
			return -ENOMEM;
	}
	ret = qcow2_alloc_clusters(image, 1, &cluster, &nr, &fresh);
	if (ret)
		goto err_free;
	host = cluster << layer->cluster_bits;
	if (from)
		ret = qcow2_copy_cluster(layer, from, host);
	else if (!fresh)
		ret = qcow2_io_zero(&layer->meta, host, qcow2_cluster_size(layer));
	if (ret)
		goto err_cluster;
	qcow2_l1_set(image, index, host, old);
	return 0;

err_cluster:
	qcow2_refcount_lower(image, cluster, 1, false);
err_free:
	kfree(old);
	return ret;
}

static int qcow2_l2_own(struct qcow2_image *image, u32 index)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u64 raw = be64_to_cpu(READ_ONCE(layer->l1.entries[index]));
	u32 slices_bits = layer->l2_bits - qcow2_l2_slice_bits(layer);
	s64 host = qcow2_l2_host(layer, (u64)index << slices_bits);
	u64 refcount;
	int ret;

	if (host < 0)
		return host;
	if (!host)
		return qcow2_l2_new(image, index, 0);
	if (raw & QCOW2_ENTRY_COPIED)
		return 0;
	ret = qcow2_refcount_read(image, host >> layer->cluster_bits, &refcount);
	if (ret)
		return ret;
	if (!refcount) {
		qcow2_image_corrupt(layer, "refcount of an L2 table is 0", host);
		return -EIO;
	}
	if (refcount > 1)
		return qcow2_l2_new(image, index, host);
	qcow2_l1_set(image, index, host, NULL);
	return 0;
}

/**
 * qcow2_l2_is_writable() - is there an L2 table that belongs to the active L1 alone?
 * @layer: the active one
 * @guest: guest offset in bytes that it maps
 *
 * Context: any.
 */
bool qcow2_l2_is_writable(struct qcow2_layer *layer, u64 guest)
{
	u32 index = guest >> (layer->cluster_bits + layer->l2_bits);
	u64 raw = be64_to_cpu(READ_ONCE(layer->l1.entries[index]));

	return raw & QCOW2_ENTRY_COPIED && qcow2_l1_valid(raw, layer->cluster_bits);
}

/**
 * qcow2_l2_make_writable() - have an L2 table that may be changed
 * @image: the image
 * @guest: guest offset in bytes that it maps
 * @waiter: parked if another request is making the same table
 *
 * Context: may sleep and do I/O.
 * Return: 0, -EINPROGRESS if @waiter is parked, or another negative errno.
 */
int qcow2_l2_make_writable(struct qcow2_image *image, u64 guest,
			   struct qcow2_waiter *waiter)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u32 index = guest >> (layer->cluster_bits + layer->l2_bits);
	struct qcow2_range range;
	int ret;

	if (qcow2_l2_is_writable(layer, guest))
		return 0;
	if (!qcow2_range_lock(&image->tables, &range, index, 1, waiter))
		return -EINPROGRESS;
	ret = qcow2_l2_own(image, index);
	qcow2_range_unlock(&image->tables, &range);
	return ret;
}
