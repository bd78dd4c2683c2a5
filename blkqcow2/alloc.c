// SPDX-License-Identifier: GPL-2.0-only
/*
 * The allocator of clusters in the active layer's file.
 *
 * Clusters are handed out upwards from a cursor below which none is free, so
 * what is written in sequence lies in sequence. The file is extended ahead in
 * large steps, and what has been added reads as zeroes: a cluster from there
 * needs no padding.
 */
#include <linux/blkdev.h>
#include <linux/falloc.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "qcow2.h"

#define QCOW2_EXTEND_MIN	SZ_1M
#define QCOW2_EXTEND_MAX	SZ_64M

/**
 * qcow2_layer_end() - where the clusters end that a table may name
 * @layer: any
 *
 * The active file is longer than what has been handed out of it: what an image
 * names there is not its own.
 *
 * Return: host offset in bytes.
 */
u64 qcow2_layer_end(struct qcow2_layer *layer)
{
	struct qcow2_image *image = layer->image;

	if (layer->index || !image->writable ||
	    !layer->meta.regular)
		return READ_ONCE(layer->meta.size);
	/* After the entry that is to be judged: it may have been made just now. */
	smp_rmb();
	/* Both are 0 until the layer has been opened. */
	return max3(image->tail,
		    READ_ONCE(image->alloc.fresh) << layer->cluster_bits,
		    (u64)QCOW2_HEADER_PROBE_BYTES);
}

/*
 * Far beyond the end only the last part is allocated: what lies between is a
 * hole until somebody writes there.
 */
static int qcow2_grow_file(struct file *file, u64 from, u64 to)
{
	int ret;

	if (to - from > 2 * QCOW2_EXTEND_MAX) {
		from = to - QCOW2_EXTEND_MAX;
		ret = vfs_truncate(&file->f_path, from);
		if (ret)
			return ret;
	}
	ret = vfs_fallocate(file, 0, from, to - from);

	if (ret == -EOPNOTSUPP)
		ret = vfs_truncate(&file->f_path, to);
	return ret;
}

/* Somebody else may have made it larger: a logical volume, for instance. */
static int qcow2_extend_disk(struct qcow2_file *file, u64 end)
{
	u64 size = i_size_read(file->mapping->host);

	if (end > size)
		return -ENOSPC;
	/* Pairs with qcow2_file_check_uncut(). */
	smp_store_release(&file->size, size);
	return 0;
}

/**
 * qcow2_image_extend() - make the active file long enough
 * @image: the image
 * @end: host offset in bytes that is to be inside the file
 *
 * Context: may sleep and do I/O.
 * Return: 0, -ENOSPC or another negative errno.
 */
int qcow2_image_extend(struct qcow2_image *image, u64 end)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u64 size, target;
	int ret = 0;

	if (end <= READ_ONCE(layer->meta.size))
		return 0;
	if (!layer->meta.regular)
		return qcow2_extend_disk(&layer->meta, end);
	mutex_lock(&image->extend_lock);
	size = layer->meta.size;
	if (end > size) {
		target = end + clamp_t(u64, size / 8, QCOW2_EXTEND_MIN,
				       QCOW2_EXTEND_MAX);
		target = round_up(target, qcow2_cluster_size(layer));
		ret = qcow2_grow_file(layer->meta.file, size, target);
		if (ret) {
			target = end;
			ret = qcow2_grow_file(layer->meta.file, size, target);
		}
		if (!ret) {
			/* Pairs with qcow2_file_check_uncut(). */
			smp_store_release(&layer->meta.size, target);
		}
	}
	mutex_unlock(&image->extend_lock);
	return ret;
}

/**
 * qcow2_image_trim() - cut off what the file was extended by in vain
 * @image: quiet and committed
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_image_trim(struct qcow2_image *image)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u64 end = image->tail;
	int ret;

	if (!layer->meta.regular)
		return 0;
	end = max(end, image->alloc.fresh << layer->cluster_bits);
	if (i_size_read(file_inode(layer->meta.file)) <= end)
		return 0;
	ret = vfs_truncate(&layer->meta.file->f_path, end);
	/* Should the window not be opened after all, extend it again. */
	if (!ret)
		WRITE_ONCE(layer->meta.size, end);
	return ret;
}

/**
 * qcow2_data_extend() - make the external data file long enough
 * @image: the image; its active layer has one
 * @end: offset in it in bytes, at most the size of the disk
 *
 * Context: may sleep and do I/O.
 * Return: 0, -ENOSPC or another negative errno.
 */
int qcow2_data_extend(struct qcow2_image *image, u64 end)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_file *data = layer->data;
	int ret = 0;

	if (end <= READ_ONCE(data->size))
		return 0;
	if (!data->regular)
		return -ENOSPC;
	mutex_lock(&image->extend_lock);
	if (end > data->size) {
		ret = vfs_truncate(&data->file->f_path, layer->size);
		if (!ret) {
			/* Pairs with qcow2_file_check_uncut(). */
			smp_store_release(&data->size, layer->size);
		}
	}
	mutex_unlock(&image->extend_lock);
	return ret;
}

/**
 * qcow2_punch() - let a file forget what is not in use
 * @file: a file that may be written
 * @pos: offset in bytes
 * @len: bytes
 *
 * Context: may sleep and do I/O.
 * Return: 0, then the range reads as zeroes; or a negative errno.
 */
int qcow2_punch(struct qcow2_file *file, u64 pos, u64 len)
{
	int ret;

	if (READ_ONCE(file->no_punch))
		return -EOPNOTSUPP;
	ret = vfs_fallocate(file->file,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pos, len);
	if (ret == -EOPNOTSUPP)
		WRITE_ONCE(file->no_punch, true);
	return ret;
}

/**
 * qcow2_data_zero() - zero a range of an external data file, if it must be
 * @image: the image; its active layer has one
 * @pos: offset in bytes
 * @len: bytes
 * @unmap: the file may forget it
 *
 * A raw data file shows what the disk shows; another may keep what the map says
 * is zeroes.
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_data_zero(struct qcow2_image *image, u64 pos, u64 len, bool unmap)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_file *data = layer->data;
	bool raw = layer->header.autoclear & QCOW2_AUTOCLEAR_RAW_DATA;
	u64 end = min(pos + len, layer->size);

	/* Not data->size, beyond which writes in place may have made it longer. */
	if (pos >= i_size_read(data->file->f_mapping->host) ||
	    (unmap && !qcow2_punch(data, pos, end - pos)) || !raw)
		return 0;
	return qcow2_io_zero(data, pos, end - pos);
}

/**
 * qcow2_punch_resting() - let the file forget clusters that have become free
 * @image: the image
 * @first: first host cluster number of a run
 * @nr: clusters; those with another user are left alone
 *
 * Context: the commit queue, so that none of them ends its rest meanwhile.
 */
void qcow2_punch_resting(struct qcow2_image *image, u64 first, u64 nr)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u64 i, n;

	for (i = 0; i < nr; i += n + 1) {
		for (n = 0; i + n < nr; n++) {
			if (!xa_load(&image->alloc.resting, first + i + n))
				break;
		}
		/* What cannot be punched is merely not given back. */
		if (n)
			qcow2_punch(&layer->meta, (first + i) << layer->cluster_bits,
				    n << layer->cluster_bits);
	}
}

/* Why a search stopped short: for want of a block, or of a slice of it. */
struct qcow2_search {
	u64 cluster;
	bool need_block;
};

static bool qcow2_is_free(struct qcow2_image *image, struct qcow2_slice *slice,
			  u64 cluster)
{
	struct qcow2_alloc *alloc = &image->alloc;

	if (qcow2_refcount_get(slice->data, qcow2_refcount_index(image, cluster),
			       alloc->order))
		return false;
	return xa_empty(&alloc->resting) || !xa_load(&alloc->resting, cluster);
}

/*
 * The first run of free clusters at or after the cursor that @slice knows,
 * either all of them fresh or none; 0 if there is none.
 */
static u64 qcow2_find_run(struct qcow2_image *image, struct qcow2_slice *slice,
			  u64 want, u64 *first)
{
	struct qcow2_alloc *alloc = &image->alloc;
	u64 end = round_up(*first + 1, 1ULL << alloc->slice_entries_bits);
	u64 n;

	while (*first < end && !qcow2_is_free(image, slice, *first))
		(*first)++;
	want = min(want, end - *first);
	if (*first < alloc->fresh)
		want = min(want, alloc->fresh - *first);
	for (n = 0; n < want; n++) {
		if (!qcow2_is_free(image, slice, *first + n))
			break;
	}
	return n;
}

static void qcow2_take_run(struct qcow2_image *image, struct qcow2_slice *slice,
			   u64 first, u64 nr)
{
	struct qcow2_alloc *alloc = &image->alloc;
	u64 i;

	for (i = 0; i < nr; i++)
		qcow2_refcount_set(slice->data,
				   qcow2_refcount_index(image, first + i),
				   alloc->order, 1);
	qcow2_refcount_dirty(image, slice);
	WRITE_ONCE(alloc->fresh, max(alloc->fresh, first + nr));
	atomic64_add(nr, &image->dev->stats.allocated);
}

/*
 * An image can say of as many clusters as it likes that they are in use, and a
 * search reads all of that. Nobody has to wait for its end who wants to be rid
 * of the device.
 */
static bool qcow2_alloc_given_up(struct qcow2_image *image)
{
	return READ_ONCE(image->commit.error) ||
	       READ_ONCE(image->dev->state) == QCOW2_STATE_DETACHING;
}

/* The refcounts at the cursor, if they are in memory. */
static struct qcow2_slice *qcow2_pin_cursor(struct qcow2_image *image,
					    struct qcow2_search *search)
{
	struct qcow2_alloc *alloc = &image->alloc;
	u64 block = alloc->cursor >> alloc->block_bits;

	lockdep_assert_held(&alloc->lock);
	search->cluster = alloc->cursor;
	search->need_block = block >= alloc->table.nr ||
			     !alloc->table.entries[block];
	if (search->need_block)
		return NULL;
	return qcow2_cache_pin_cached(&alloc->blocks,
				      qcow2_refcount_key(image, alloc->cursor));
}

/* With what is in memory: 0, or -EAGAIN and what is missing, or an error. */
static int qcow2_try_alloc(struct qcow2_image *image, u64 want, u64 *first,
			   u64 *nr, bool *fresh, struct qcow2_search *search)
{
	struct qcow2_alloc *alloc = &image->alloc;
	struct qcow2_slice *slice;

	lockdep_assert_held(&alloc->lock);
	for (;;) {
		*first = alloc->cursor;
		slice = qcow2_pin_cursor(image, search);
		if (!slice)
			return -EAGAIN;
		*nr = qcow2_find_run(image, slice, want, first);
		alloc->cursor = *first + *nr;
		if (!*nr) {
			qcow2_cache_unpin(slice);
			if (qcow2_alloc_given_up(image))
				return -EIO;
			cond_resched();
			continue;
		}
		*fresh = *first >= alloc->fresh;
		if (!qcow2_overlaps(image, *first, *nr))
			qcow2_take_run(image, slice, *first, *nr);
		else
			*nr = 0;
		qcow2_cache_unpin(slice);
		return *nr ? 0 : -EUCLEAN;
	}
}

static int qcow2_load_for(struct qcow2_image *image,
			  const struct qcow2_search *search)
{
	struct qcow2_slice *slice;

	if (qcow2_alloc_given_up(image))
		return -EIO;
	if (search->need_block)
		return qcow2_refcount_add_block(image, search->cluster >>
						image->alloc.block_bits);
	slice = qcow2_refcount_pin(image, search->cluster);
	if (IS_ERR(slice))
		return PTR_ERR(slice);
	qcow2_cache_unpin(slice);
	return 0;
}

/* Does a commit bring some? */
static bool qcow2_space_comes(struct qcow2_image *image)
{
	if (!qcow2_nr_coming(image) || READ_ONCE(image->commit.no_space))
		return false;
	qcow2_commit_now(image);
	return true;
}

/**
 * qcow2_alloc_clusters() - allocate a run of host clusters
 * @image: the image
 * @want: clusters, at least 1
 * @first: first host cluster number
 * @nr: how many are given, 1 to @want
 * @fresh: they read as zeroes
 *
 * Their refcounts are 1 in memory, and on disk before any L2 entry is that a
 * later commit writes.
 *
 * Context: may sleep and do I/O.
 * Return: 0, -ENOSPC, -EIO or -ENOMEM; the last also if there will be space in a
 * moment.
 */
int qcow2_alloc_clusters(struct qcow2_image *image, u64 want, u64 *first,
			 u64 *nr, bool *fresh)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_alloc *alloc = &image->alloc;
	struct qcow2_search search = {};
	int ret;

	do {
		mutex_lock(&alloc->lock);
		ret = qcow2_try_alloc(image, want, first, nr, fresh, &search);
		mutex_unlock(&alloc->lock);
		if (ret == -EUCLEAN)
			qcow2_image_corrupt(layer, "metadata with refcount 0",
					    *first << layer->cluster_bits);
		if (ret != -EAGAIN)
			break;
		ret = qcow2_load_for(image, &search);
	} while (!ret);
	if (ret)
		return ret == -EUCLEAN ? -EIO : ret;
	if (*first + *nr > QCOW2_ENTRY_OFFSET >> layer->cluster_bits)
		ret = -ENOSPC;
	else
		ret = qcow2_image_extend(image, (*first + *nr) <<
					 layer->cluster_bits);
	/* A second failure would only leak them. */
	if (ret)
		qcow2_refcount_lower(image, *first, *nr, false);
	return qcow2_error_is_space(ret) && qcow2_space_comes(image) ? -ENOMEM : ret;
}

/* Is it for an allocation without more ado? */
static bool qcow2_run_fits(struct qcow2_image *image, u64 first, u64 nr,
			   bool fresh)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u64 end = first + nr;

	return (!fresh || first >= image->alloc.fresh) &&
	       end <= QCOW2_ENTRY_OFFSET >> layer->cluster_bits &&
	       end << layer->cluster_bits <= READ_ONCE(layer->meta.size) &&
	       !qcow2_overlaps(image, first, nr);
}

static bool qcow2_try_at_once(struct qcow2_image *image, u64 want, bool fresh,
			      u64 *first)
{
	struct qcow2_alloc *alloc = &image->alloc;
	struct qcow2_search search;
	struct qcow2_slice *slice;
	bool fits;

	lockdep_assert_held(&alloc->lock);
	slice = qcow2_pin_cursor(image, &search);
	if (!slice)
		return false;
	*first = alloc->cursor;
	fits = qcow2_find_run(image, slice, want, first) == want &&
	       qcow2_run_fits(image, *first, want, fresh);
	if (fits) {
		qcow2_take_run(image, slice, *first, want);
		alloc->cursor = *first + want;
	}
	qcow2_cache_unpin(slice);
	return fits;
}

/**
 * qcow2_alloc_at_once() - allocate what can be had without waiting for anything
 * @image: the image
 * @want: clusters, at least 1
 * @fresh: they must read as zeroes
 * @first: first host cluster number
 *
 * As qcow2_alloc_clusters(), but all of them or none.
 *
 * Context: process; does not sleep, does no I/O.
 * Return: true if they have been allocated.
 */
bool qcow2_alloc_at_once(struct qcow2_image *image, u64 want, bool fresh,
			 u64 *first)
{
	bool done;

	if (!mutex_trylock(&image->alloc.lock))
		return false;
	done = qcow2_try_at_once(image, want, fresh, first);
	mutex_unlock(&image->alloc.lock);
	return done;
}

/**
 * qcow2_alloc_rested() - let clusters be used again that were freed
 * @image: the image
 * @generation: the snapshot of the refcounts that has just become durable
 *
 * Context: may sleep.
 */
void qcow2_alloc_rested(struct qcow2_image *image, unsigned long generation)
{
	struct qcow2_alloc *alloc = &image->alloc;
	unsigned long cluster;
	void *entry;

	mutex_lock(&alloc->lock);
	xa_for_each(&alloc->resting, cluster, entry) {
		if (xa_to_value(entry) > generation)
			continue;
		xa_erase(&alloc->resting, cluster);
		WRITE_ONCE(alloc->nr_resting, alloc->nr_resting - 1);
		alloc->cursor = min_t(u64, alloc->cursor, cluster);
	}
	mutex_unlock(&alloc->lock);
}

/**
 * qcow2_alloc_open() - read what the allocator needs
 * @image: layer 0 is open
 * @cache_bytes: bound for refcount blocks in memory
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_alloc_open(struct qcow2_image *image, u64 cache_bytes,
		     struct qcow2_err *err)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_alloc *alloc = &image->alloc;
	struct qcow2_header *h = &layer->header;
	u32 slice_bits = min_t(u32, layer->cluster_bits, QCOW2_MAX_SLICE_BITS);
	int ret;

	alloc->order = h->refcount_order;
	alloc->block_bits = layer->cluster_bits + 3 - alloc->order;
	alloc->slice_entries_bits = slice_bits + 3 - alloc->order;
	alloc->cursor = 0;
	alloc->generation = 1;
	alloc->fresh = DIV_ROUND_UP_ULL(layer->meta.size,
					qcow2_cluster_size(layer));
	if (!layer->meta.regular)
		alloc->fresh = U64_MAX;
	ret = qcow2_cache_size(&alloc->blocks, slice_bits, cache_bytes,
			       (layer->meta.size + layer->size) >>
			       (layer->cluster_bits + alloc->slice_entries_bits));
	if (ret)
		return qcow2_fail(err, ret, "not enough memory");
	return qcow2_table_load(layer, &alloc->table, h->reftable_offset,
				h->reftable_clusters <<
				(layer->cluster_bits - 3), err);
}

/**
 * qcow2_alloc_close() - forget it all
 * @image: quiet; what was dirty is lost
 */
void qcow2_alloc_close(struct qcow2_image *image)
{
	struct qcow2_alloc *alloc = &image->alloc;

	qcow2_cache_destroy(&alloc->blocks);
	xa_destroy(&alloc->resting);
	qcow2_table_free(&alloc->table);
}
