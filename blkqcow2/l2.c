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
	}
	return run;
}

/**
 * qcow2_l2_link() - change the L2 entries of a run of clusters
 * @image: the image
 * @slice: pinned; of a table that belongs to the active L1 alone
 * @guest: guest offset of the first cluster
 * @nr: clusters, all in @slice
 * @raw: the first entry, host byte order
 * @step: what is added from one entry to the next
 * @old: what the old entries named, to be freed when the new ones are
 *	durable; or NULL. Taken over
 *
 * The data that the entries name must have been written.
 *
 * Context: any.
 */
void qcow2_l2_link(struct qcow2_image *image, struct qcow2_slice *slice,
		   u64 guest, u32 nr, u64 raw, u64 step, struct qcow2_free *old)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u32 index = qcow2_l2_index(layer, guest), i;
	__be64 *entries = slice->data;
	unsigned long flags;

	spin_lock_irqsave(&layer->l2.lock, flags);
	qcow2_cache_dirty(&layer->l2, slice);
	for (i = 0; i < nr; i++, raw += step)
		WRITE_ONCE(entries[index + i], cpu_to_be64(raw));
	if (old)
		list_add_tail(&old->node, &image->commit.freed);
	spin_unlock_irqrestore(&layer->l2.lock, flags);
	qcow2_commit_soon(image);
}

static void qcow2_l1_set(struct qcow2_image *image, u32 index, u64 host,
			 struct qcow2_free *old)
{
	struct qcow2_layer *layer = qcow2_active(image);

	spin_lock_irq(&layer->l2.lock);
	WRITE_ONCE(layer->l1.entries[index],
		   cpu_to_be64(host | QCOW2_ENTRY_COPIED));
	qcow2_table_mark(&layer->l1, index, layer->l2.slice_bits);
	if (old)
		list_add_tail(&old->node, &image->commit.freed);
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
		ret = qcow2_io_buf(layer, ITER_DEST, from, buf, chunk);
		if (!ret)
			ret = qcow2_io_buf(layer, ITER_SOURCE, to, buf, chunk);
	}
	kfree(buf);
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
		ret = qcow2_io_zero(layer, host, qcow2_cluster_size(layer));
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
	u64 host = raw & QCOW2_ENTRY_OFFSET;
	u64 refcount;
	int ret;

	if (!qcow2_l1_valid(raw, layer->cluster_bits)) {
		qcow2_image_corrupt(layer, "L1 entry", index);
		return -EIO;
	}
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
	u64 raw = be64_to_cpu(READ_ONCE(layer->l1.entries[index]));
	struct qcow2_range range;
	int ret;

	if (raw & QCOW2_ENTRY_COPIED && qcow2_l1_valid(raw, layer->cluster_bits))
		return 0;
	if (!qcow2_range_lock(&image->tables, &range, index, 1, waiter))
		return -EINPROGRESS;
	ret = qcow2_l2_own(image, index);
	qcow2_range_unlock(&image->tables, &range);
	return ret;
}
