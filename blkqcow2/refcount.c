// SPDX-License-Identifier: GPL-2.0-only
/*
 * Refcounts of the active layer: read, lower, add blocks, move the table.
 *
 * Refcounts in memory run ahead of the file. Raising one is harmless at any
 * time: a power cut leaves a leak. Lowering one waits until the L2 entry that
 * freed the cluster is durable (epoch.c), so that what a commit writes is
 * always safe to be on disk.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>
#include "qcow2.h"

/**
 * qcow2_refcount_key() - key of the slice with a cluster's refcount
 * @image: the image
 * @cluster: host cluster number
 */
u64 qcow2_refcount_key(struct qcow2_image *image, u64 cluster)
{
	return cluster >> image->alloc.slice_entries_bits;
}

/**
 * qcow2_refcount_index() - position of a cluster's refcount in its slice
 * @image: the image
 * @cluster: host cluster number
 */
u32 qcow2_refcount_index(struct qcow2_image *image, u64 cluster)
{
	return cluster & ((1U << image->alloc.slice_entries_bits) - 1);
}

/**
 * qcow2_refcount_host() - host offset of a slice of a refcount block
 * @layer: the active layer
 * @key: of the slice
 *
 * Context: may sleep; alloc->lock not held.
 * Return: bytes, 0 if there is no such block, -EIO if its entry is invalid.
 */
s64 qcow2_refcount_host(struct qcow2_layer *layer, u64 key)
{
	struct qcow2_alloc *alloc = &layer->image->alloc;
	u32 slices_bits = alloc->block_bits - alloc->slice_entries_bits;
	u64 block = key >> slices_bits;
	u64 raw = 0;

	mutex_lock(&alloc->lock);
	if (block < alloc->table.nr)
		raw = be64_to_cpu(alloc->table.entries[block]);
	mutex_unlock(&alloc->lock);
	if (!qcow2_reftable_valid(raw, layer->cluster_bits) ||
	    (raw && (raw + qcow2_cluster_size(layer) > qcow2_layer_end(layer) ||
		     qcow2_overlaps_table(layer->image,
					  raw >> layer->cluster_bits)))) {
		qcow2_image_corrupt(layer, "refcount table entry", block);
		return -EIO;
	}
	if (!raw)
		return 0;
	return raw + ((key & ((1ULL << slices_bits) - 1)) <<
		      alloc->blocks.slice_bits);
}

/**
 * qcow2_refcount_pin() - pin the slice with a cluster's refcount
 * @image: the image
 * @cluster: host cluster number
 *
 * Context: may sleep and do I/O; alloc->lock not held.
 * Return: see qcow2_cache_pin().
 */
struct qcow2_slice *qcow2_refcount_pin(struct qcow2_image *image, u64 cluster)
{
	return qcow2_cache_pin(&image->alloc.blocks,
			       qcow2_refcount_key(image, cluster));
}

/**
 * qcow2_refcount_dirty() - have the next commit write a refcount slice
 * @image: the image
 * @slice: pinned
 *
 * Context: alloc->lock held.
 */
void qcow2_refcount_dirty(struct qcow2_image *image, struct qcow2_slice *slice)
{
	struct qcow2_cache *cache = &image->alloc.blocks;

	lockdep_assert_held(&image->alloc.lock);
	spin_lock_irq(&cache->lock);
	qcow2_cache_dirty(cache, slice);
	spin_unlock_irq(&cache->lock);
	qcow2_commit_soon(image);
}

/**
 * qcow2_refcount_read() - what is the refcount of a cluster?
 * @image: the image
 * @cluster: host cluster number
 * @value: the answer
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_refcount_read(struct qcow2_image *image, u64 cluster, u64 *value)
{
	struct qcow2_alloc *alloc = &image->alloc;
	struct qcow2_slice *slice = qcow2_refcount_pin(image, cluster);

	*value = 0;
	if (slice == ERR_PTR(-ENOENT))
		return 0;
	if (IS_ERR(slice))
		return PTR_ERR(slice);
	mutex_lock(&alloc->lock);
	*value = qcow2_refcount_get(slice->data,
				    qcow2_refcount_index(image, cluster),
				    alloc->order);
	mutex_unlock(&alloc->lock);
	qcow2_cache_unpin(slice);
	return 0;
}

static int qcow2_refcount_lower_one(struct qcow2_image *image,
				    struct qcow2_slice *slice, u64 cluster,
				    bool rest)
{
	struct qcow2_alloc *alloc = &image->alloc;
	u32 index = qcow2_refcount_index(image, cluster);
	u64 value = qcow2_refcount_get(slice->data, index, alloc->order);

	lockdep_assert_held(&alloc->lock);
	if (!value) {
		qcow2_image_corrupt(qcow2_active(image),
				    "refcount of a used cluster is 0", cluster);
		return -EIO;
	}
	if (value == 1 && rest) {
		void *old = xa_store(&alloc->resting, cluster,
				     xa_mk_value(alloc->generation), GFP_NOIO);

		if (xa_is_err(old))
			return xa_err(old);
		WRITE_ONCE(alloc->nr_resting, alloc->nr_resting + 1);
	}
	if (value == 1 && !rest)
		alloc->cursor = min(alloc->cursor, cluster);
	qcow2_refcount_set(slice->data, index, alloc->order, value - 1);
	qcow2_refcount_dirty(image, slice);
	atomic64_inc(&image->dev->stats.freed);
	return 0;
}

/**
 * qcow2_refcount_lower() - lower the refcounts of a run of clusters by one
 * @image: the image
 * @first: first host cluster number
 * @nr: clusters
 * @rest: those that become free must not be used before the next commit
 *
 * Context: may sleep and do I/O; alloc->lock not held.
 * Return: 0 or a negative errno; then some may have been lowered.
 */
int qcow2_refcount_lower(struct qcow2_image *image, u64 first, u64 nr,
			 bool rest)
{
	struct qcow2_alloc *alloc = &image->alloc;
	u64 per_slice = 1ULL << alloc->slice_entries_bits;
	int ret = 0;

	if (qcow2_overlaps(image, first, nr)) {
		qcow2_image_corrupt(qcow2_active(image), "metadata is to be freed",
				    first);
		return -EIO;
	}
	while (nr && !ret) {
		u64 n = min(nr, per_slice - qcow2_refcount_index(image, first));
		struct qcow2_slice *slice = qcow2_refcount_pin(image, first);
		u64 i;

		if (IS_ERR(slice))
			return PTR_ERR(slice);
		mutex_lock(&alloc->lock);
		for (i = 0; i < n && !ret; i++)
			ret = qcow2_refcount_lower_one(image, slice, first + i,
						       rest);
		mutex_unlock(&alloc->lock);
		qcow2_cache_unpin(slice);
		first += n;
		nr -= n;
	}
	return ret;
}

static int qcow2_pin_blank(struct qcow2_image *image, u64 first, u64 nr,
			   struct qcow2_slice **slices)
{
	struct qcow2_alloc *alloc = &image->alloc;
	struct qcow2_slice *slice;
	u64 i;

	for (i = 0; i < nr; i++) {
		slice = qcow2_cache_add_blank(&alloc->blocks,
					      qcow2_refcount_key(image, first));
		if (IS_ERR(slice))
			return PTR_ERR(slice);
		slices[i] = slice;
		first += 1ULL << alloc->slice_entries_bits;
	}
	return 0;
}

static void qcow2_set_to_one(struct qcow2_image *image, u64 first, u64 nr,
			     struct qcow2_slice **slices)
{
	struct qcow2_alloc *alloc = &image->alloc;
	u64 per_slice = 1ULL << alloc->slice_entries_bits;

	mutex_lock(&alloc->lock);
	for (; nr; slices++) {
		u32 index = qcow2_refcount_index(image, first);
		u64 n = min(nr, per_slice - index), i;

		for (i = 0; i < n; i++)
			qcow2_refcount_set((*slices)->data, index + i,
					   alloc->order, 1);
		qcow2_refcount_dirty(image, *slices);
		first += n;
		nr -= n;
	}
	mutex_unlock(&alloc->lock);
}

/*
 * Set the refcounts of clusters to 1 in blocks that are just being made. All or
 * nothing: a block of which some is dirty, and which is nowhere, could not be
 * written. @first is the first of a block.
 */
static int qcow2_refcount_fill(struct qcow2_image *image, u64 first, u64 nr)
{
	u64 slices = DIV_ROUND_UP_ULL(nr, 1ULL << image->alloc.slice_entries_bits), i;
	struct qcow2_slice **pinned;
	int ret;

	pinned = kvcalloc(slices, sizeof(*pinned), GFP_NOIO);
	if (!pinned)
		return -ENOMEM;
	ret = qcow2_pin_blank(image, first, slices, pinned);
	if (!ret)
		qcow2_set_to_one(image, first, nr, pinned);
	for (i = 0; i < slices && pinned[i]; i++)
		qcow2_cache_unpin(pinned[i]);
	kvfree(pinned);
	return ret;
}

/*
 * The clusters at @first have no refcount block and so belong to nobody, if
 * the image is sound. Make them part of the file, reading as zeroes.
 */
static int qcow2_claim_clusters(struct qcow2_image *image, u64 first, u64 nr)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_alloc *alloc = &image->alloc;
	u64 pos = first << layer->cluster_bits;
	u64 bytes = nr << layer->cluster_bits;
	bool fresh;
	int ret;

	if (qcow2_overlaps(image, first, nr)) {
		qcow2_image_corrupt(layer, "metadata without a refcount block",
				    pos);
		return -EIO;
	}
	ret = qcow2_image_extend(image, pos + bytes);
	if (ret)
		return ret;
	mutex_lock(&alloc->lock);
	fresh = first >= alloc->fresh;
	WRITE_ONCE(alloc->fresh, max(alloc->fresh, first + nr));
	mutex_unlock(&alloc->lock);
	return fresh ? 0 : qcow2_io_zero(&layer->meta, pos, bytes);
}

static int qcow2_add_block_in_table(struct qcow2_image *image, u64 block)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_alloc *alloc = &image->alloc;
	u64 first = block << alloc->block_bits;
	int ret;

	/* The block describes its own cluster, the first of its range. */
	ret = qcow2_claim_clusters(image, first, 1);
	if (!ret)
		ret = qcow2_refcount_fill(image, first, 1);
	if (ret)
		return ret;
	mutex_lock(&alloc->lock);
	qcow2_overlap_set(image, &alloc->table, block,
			  first << layer->cluster_bits);
	qcow2_table_mark(&alloc->table, block, alloc->blocks.slice_bits);
	mutex_unlock(&alloc->lock);
	return 0;
}

/**
 * struct qcow2_table_plan - a refcount table that is to replace a full one
 * @entries: of the new table
 * @clusters: that it occupies
 * @blocks: refcount blocks that describe it and themselves
 */
struct qcow2_table_plan {
	u64 entries;
	u64 clusters;
	u64 blocks;
};

static int qcow2_plan_table(struct qcow2_image *image, u64 block,
			    struct qcow2_table_plan *plan)
{
	struct qcow2_alloc *alloc = &image->alloc;
	u32 cluster_bits = qcow2_active(image)->cluster_bits;
	u64 entries = max(2ULL * alloc->table.nr, block + 1);

	for (;;) {
		plan->entries = round_up(entries, 1ULL << (cluster_bits - 3));
		plan->clusters = plan->entries >> (cluster_bits - 3);
		plan->blocks = DIV_ROUND_UP_ULL(plan->clusters,
						(1ULL << alloc->block_bits) - 1);
		if (plan->entries * 8 > QCOW2_MAX_REFTABLE_BYTES)
			return -ENOSPC;
		if (block + plan->blocks <= plan->entries)
			return 0;
		entries = block + plan->blocks;
	}
}

/* Switch to a table that is complete; a commit writes it. */
static void qcow2_switch_table(struct qcow2_image *image,
			       struct qcow2_table *table, u64 *old_first,
			       u64 *old_nr)
{
	struct qcow2_alloc *alloc = &image->alloc;
	u32 cluster_bits = qcow2_active(image)->cluster_bits;

	mutex_lock(&alloc->lock);
	*old_first = alloc->table.host >> cluster_bits;
	*old_nr = alloc->moved ?
		  (u64)alloc->table.nr * 8 >> cluster_bits : 0;
	if (!alloc->moved) {
		alloc->old_host = alloc->table.host;
		alloc->old_clusters = (u64)alloc->table.nr * 8 >> cluster_bits;
	}
	bitmap_set(table->dirty, 0, table->nr_blocks);
	qcow2_overlap_grow(image, table);
	alloc->moved = true;
	mutex_unlock(&alloc->lock);
}

static int qcow2_move_table(struct qcow2_image *image, u64 block)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_alloc *alloc = &image->alloc;
	u64 first = block << alloc->block_bits;
	struct qcow2_table table = {};
	struct qcow2_table_plan plan;
	u64 i, old_first, old_nr;
	int ret;

	ret = qcow2_plan_table(image, block, &plan);
	if (ret)
		return ret;
	ret = qcow2_table_alloc(&table, plan.entries, alloc->blocks.slice_bits);
	if (ret)
		return ret;
	table.host = (first + plan.blocks) << layer->cluster_bits;
	/* Only who holds grow_lock changes it. */
	memcpy(table.entries, alloc->table.entries,
	       alloc->table.nr * sizeof(*table.entries));
	for (i = 0; i < plan.blocks; i++)
		table.entries[block + i] =
			cpu_to_be64((first + i) << layer->cluster_bits);
	ret = qcow2_index_build(layer, &table);
	if (!ret)
		ret = qcow2_claim_clusters(image, first,
					   plan.blocks + plan.clusters);
	if (!ret)
		ret = qcow2_refcount_fill(image, first,
					  plan.blocks + plan.clusters);
	if (!ret) {
		qcow2_switch_table(image, &table, &old_first, &old_nr);
		/* A table that no header has ever named is free at once. */
		if (old_nr)
			ret = qcow2_refcount_lower(image, old_first, old_nr,
						   false);
	}
	qcow2_table_free(&table);
	return ret;
}

/**
 * qcow2_refcount_add_block() - make refcounts for clusters that have none
 * @image: the image
 * @block: index in the refcount table
 *
 * Moves the table to a larger place first if it has no such entry.
 *
 * Context: may sleep and do I/O; alloc->lock not held.
 * Return: 0 or a negative errno.
 */
int qcow2_refcount_add_block(struct qcow2_image *image, u64 block)
{
	struct qcow2_alloc *alloc = &image->alloc;
	int ret = 0;

	mutex_lock(&alloc->grow_lock);
	if (block >= alloc->table.nr)
		ret = qcow2_move_table(image, block);
	else if (!alloc->table.entries[block])
		ret = qcow2_add_block_in_table(image, block);
	mutex_unlock(&alloc->grow_lock);
	return ret;
}
