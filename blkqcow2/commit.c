// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commit: dirty metadata goes to the file in the order that keeps the
 * promises M1 to M3.
 *
 *	0. copy what is dirty: L2 slices first, then L1, then refcounts, so that
 *	   each copy holds at least what those before it need
 *	1. write refcounts; a refcount table entry only after a barrier that makes
 *	   its block durable, the header only after a moved table
 *	2. barrier: refcounts, new L2 tables and all data that the copied entries
 *	   name are durable
 *	3. write L2 slices and L1 blocks
 *	4. barrier
 *
 * Only copies are written in step 3: an entry that is linked after the barrier
 * of step 2 names data that is not durable, and waits for the next commit.
 *
 * There is one commit at a time per image. Flushes that arrive while one runs
 * share the next one.
 */
#include <linux/delay.h>
#include <linux/slab.h>
#include "qcow2.h"

/* Dirty metadata is not kept from the file for longer than this. */
#define QCOW2_COMMIT_DELAY	(5 * HZ)

/* Copies that a commit can always make: each device has two times as many. */
#define QCOW2_COMMIT_RESERVE	8

/* And those that it makes at most at a time. */
#define QCOW2_COMMIT_COPIES	1024

/*
 * Only for the test of the test of power cuts: a build with 1 or 2 leaves the
 * first or the second barrier out, and loses data.
 */
#ifndef QCOW2_FAULT_BARRIER
#define QCOW2_FAULT_BARRIER	0
#endif

/* A full sequence of commits settles in three rounds; see qcow2_commit_all(). */
#define QCOW2_COMMIT_ROUNDS	16

/* Milliseconds until memory may have been found. */
#define QCOW2_COMMIT_PAUSE	20

/**
 * struct qcow2_batch - copies that are written together
 * @image: the image
 * @pool: where they come from
 * @copies: of slices and of blocks of tables
 * @nr: how many there are
 * @truncated: too many, or memory was short: some dirty ones were left out
 * @pending: writes under way
 * @error: the first one that a write met
 * @done: all writes have ended
 */
struct qcow2_batch {
	struct qcow2_image *image;
	mempool_t *pool;
	struct list_head copies;
	unsigned int nr;
	bool truncated;
	atomic_t pending;
	int error;
	struct completion done;
};

/**
 * struct qcow2_copy - a slice or a block of a table on its way to the file
 * @node: in qcow2_batch.copies
 * @cache: the slice's; NULL for a block
 * @slice: the slice, pinned
 * @table: the block's; NULL for a slice
 * @block: its number
 * @buf: the copy
 * @bv: describes @buf
 * @io: writes it
 */
struct qcow2_copy {
	struct list_head node;
	struct qcow2_cache *cache;
	struct qcow2_slice *slice;
	struct qcow2_table *table;
	u32 block;
	void *buf;
	struct bio_vec bv;
	struct qcow2_io io;
};

static void *qcow2_copy_alloc(gfp_t gfp, void *data)
{
	struct qcow2_copy *copy = kmalloc_obj(*copy, gfp);

	if (!copy)
		return NULL;
	copy->buf = qcow2_buf_alloc(1UL << QCOW2_MAX_SLICE_BITS, gfp);
	if (copy->buf)
		return copy;
	kfree(copy);
	return NULL;
}

static void qcow2_copy_free(void *element, void *data)
{
	struct qcow2_copy *copy = element;

	qcow2_buf_free(copy->buf);
	kfree(copy);
}

static void qcow2_batch_init(struct qcow2_batch *batch,
			     struct qcow2_image *image, mempool_t *pool)
{
	batch->image = image;
	batch->pool = pool;
	INIT_LIST_HEAD(&batch->copies);
	batch->nr = 0;
	batch->truncated = false;
	batch->error = 0;
}

/* The first copy of a batch waits for memory, the others do without. */
static struct qcow2_copy *qcow2_batch_add(struct qcow2_batch *batch)
{
	gfp_t gfp = list_empty(&batch->copies) ? GFP_NOIO : GFP_NOWAIT;
	struct qcow2_copy *copy = NULL;

	if (batch->nr < QCOW2_COMMIT_COPIES)
		copy = mempool_alloc(batch->pool, gfp | __GFP_NOWARN);
	if (!copy) {
		batch->truncated = true;
		return NULL;
	}
	batch->nr++;
	copy->cache = NULL;
	copy->table = NULL;
	list_add_tail(&copy->node, &batch->copies);
	return copy;
}

static void qcow2_batch_drop(struct qcow2_batch *batch, struct qcow2_copy *copy)
{
	list_del(&copy->node);
	mempool_free(copy, batch->pool);
}

/* Copy the slices of @todo, as many as there is memory for. */
static void qcow2_snapshot_slices(struct qcow2_batch *batch,
				  struct qcow2_cache *cache,
				  struct list_head *todo)
{
	struct qcow2_slice *slice;
	struct qcow2_copy *copy;

	while (!list_empty(todo)) {
		copy = qcow2_batch_add(batch);
		if (!copy)
			return;
		spin_lock_irq(&cache->lock);
		slice = list_first_entry(todo, struct qcow2_slice, dirty);
		list_del_init(&slice->dirty);
		WRITE_ONCE(cache->nr_dirty, cache->nr_dirty - 1);
		set_bit(QCOW2_SLICE_WRITEBACK, &slice->flags);
		/* Never neither of the two: qcow2_extent.durable looks. */
		smp_mb__after_atomic();
		clear_bit(QCOW2_SLICE_DIRTY, &slice->flags);
		memcpy(copy->buf, slice->data, 1UL << cache->slice_bits);
		spin_unlock_irq(&cache->lock);
		copy->cache = cache;
		copy->slice = slice;
	}
}

/* Take what is dirty now, or give back what is left of it. */
static void qcow2_move_dirty(struct qcow2_cache *cache, struct list_head *from,
			     struct list_head *to)
{
	spin_lock_irq(&cache->lock);
	list_splice_tail_init(from, to);
	spin_unlock_irq(&cache->lock);
}

/*
 * Takes no lock: an entry that changes after its block's bit has been cleared
 * sets it again, and the next commit writes the block once more.
 */
static void qcow2_snapshot_table(struct qcow2_batch *batch,
				 struct qcow2_table *table, u32 slice_bits)
{
	u32 per_block = 1U << (slice_bits - 3), block, i;
	struct qcow2_copy *copy;

	for_each_set_bit(block, table->dirty, table->nr_blocks) {
		const __be64 *from = table->entries + (size_t)block * per_block;
		__be64 *to;

		copy = qcow2_batch_add(batch);
		if (!copy)
			return;
		clear_bit(block, table->dirty);
		/* The bit before the entries; they are set in reverse order. */
		smp_mb__after_atomic();
		to = copy->buf;
		for (i = 0; i < per_block; i++)
			to[i] = READ_ONCE(from[i]);
		copy->table = table;
		copy->block = block;
	}
}

static void qcow2_copy_end(struct qcow2_io *io, int error)
{
	struct qcow2_batch *batch = io->private;

	if (error)
		cmpxchg(&batch->error, 0, error);
	if (atomic_dec_and_test(&batch->pending))
		complete(&batch->done);
}

static void qcow2_copy_write(struct qcow2_batch *batch, struct qcow2_copy *copy)
{
	struct qcow2_layer *layer = qcow2_active(batch->image);
	u32 slice_bits = layer->l2.slice_bits;
	s64 host;

	if (copy->table)
		host = copy->table->host + ((u64)copy->block << slice_bits);
	else
		host = copy->cache->host(layer, copy->slice->key);
	copy->io.end = qcow2_copy_end;
	copy->io.private = batch;
	if (host <= 0) {
		qcow2_copy_end(&copy->io, -EIO);
		return;
	}
	bvec_set_virt(&copy->bv, copy->buf, 1UL << slice_bits);
	iov_iter_bvec(&copy->io.start, ITER_SOURCE, &copy->bv, 1,
		      1UL << slice_bits);
	qcow2_io_prepare(&copy->io, &layer->meta, host, 0, false);
	qcow2_io_submit(&copy->io, false);
}

static int qcow2_batch_write(struct qcow2_batch *batch)
{
	struct qcow2_copy *copy;

	atomic_set(&batch->pending, 1);
	init_completion(&batch->done);
	list_for_each_entry(copy, &batch->copies, node) {
		atomic_inc(&batch->pending);
		qcow2_copy_write(batch, copy);
	}
	if (!atomic_dec_and_test(&batch->pending))
		wait_for_completion(&batch->done);
	return batch->error;
}

/* The writes are durable, or (@error) what was copied is dirty again. */
static void qcow2_batch_finish(struct qcow2_batch *batch, int error)
{
	struct qcow2_copy *copy, *next;

	list_for_each_entry_safe(copy, next, &batch->copies, node) {
		if (copy->cache) {
			spin_lock_irq(&copy->cache->lock);
			if (error)
				qcow2_cache_dirty(copy->cache, copy->slice);
			clear_bit(QCOW2_SLICE_WRITEBACK, &copy->slice->flags);
			spin_unlock_irq(&copy->cache->lock);
			qcow2_cache_unpin(copy->slice);
		} else if (error) {
			set_bit(copy->block, copy->table->dirty);
		}
		qcow2_batch_drop(batch, copy);
	}
}

/* Refcount blocks, in as many rounds as memory demands. */
static int qcow2_commit_blocks(struct qcow2_image *image,
			       unsigned long *generation)
{
	struct qcow2_alloc *alloc = &image->alloc;
	struct qcow2_batch batch;
	LIST_HEAD(todo);
	int ret;

	mutex_lock(&alloc->lock);
	*generation = alloc->generation++;
	qcow2_move_dirty(&alloc->blocks, &alloc->blocks.dirty, &todo);
	mutex_unlock(&alloc->lock);
	do {
		qcow2_batch_init(&batch, image, &image->commit.refcounts);
		mutex_lock(&alloc->lock);
		qcow2_snapshot_slices(&batch, &alloc->blocks, &todo);
		mutex_unlock(&alloc->lock);
		ret = qcow2_batch_write(&batch);
		qcow2_batch_finish(&batch, ret);
	} while (!ret && batch.truncated);
	qcow2_move_dirty(&alloc->blocks, &todo, &alloc->blocks.dirty);
	return ret;
}

/* The blocks that the dirty entries name are written, but not durable. */
static int qcow2_commit_table(struct qcow2_image *image)
{
	struct qcow2_alloc *alloc = &image->alloc;
	struct qcow2_batch batch;
	int ret;

	do {
		ret = qcow2_io_flush(&qcow2_active(image)->meta);
		if (ret)
			return ret;
		qcow2_batch_init(&batch, image, &image->commit.refcounts);
		mutex_lock(&alloc->lock);
		qcow2_snapshot_table(&batch, &alloc->table,
				     alloc->blocks.slice_bits);
		mutex_unlock(&alloc->lock);
		ret = qcow2_batch_write(&batch);
		qcow2_batch_finish(&batch, ret);
	} while (!ret && batch.truncated);
	return ret;
}

/* The whole new table is written: let the header name it, free the old one. */
static int qcow2_commit_move(struct qcow2_image *image)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_alloc *alloc = &image->alloc;
	u32 clusters = (u64)alloc->table.nr * 8 >> layer->cluster_bits;
	u64 host = alloc->table.host;
	int ret;

	ret = qcow2_io_flush(&layer->meta);
	if (!ret)
		ret = qcow2_header_reftable(image, host, clusters);
	if (!ret)
		ret = qcow2_io_flush(&layer->meta);
	if (ret)
		return ret;
	mutex_lock(&alloc->lock);
	layer->header.reftable_offset = host;
	layer->header.reftable_clusters = clusters;
	qcow2_overlap_moved(image);
	alloc->moved = false;
	mutex_unlock(&alloc->lock);
	/* A failure leaks them, which is allowed. */
	qcow2_refcount_lower(image, alloc->old_host >> layer->cluster_bits,
			     alloc->old_clusters, true);
	return 0;
}

/*
 * Lazy refcounts: while the dirty bit says that they must be counted anew,
 * they are written only when there are too many of them in memory, or for good.
 */
static bool qcow2_commit_may_lag(struct qcow2_image *image)
{
	struct qcow2_cache *blocks = &image->alloc.blocks;

	return image->lazy && !READ_ONCE(image->commit.all) &&
	       READ_ONCE(blocks->nr) <= blocks->max;
}

static int qcow2_commit_refcounts(struct qcow2_image *image,
				  unsigned long *generation)
{
	struct qcow2_alloc *alloc = &image->alloc;
	bool entries, moved;
	int ret = 0;

	/* Growing would change the table between its blocks and itself. */
	mutex_lock(&alloc->grow_lock);
	mutex_lock(&alloc->lock);
	entries = qcow2_table_dirty(&alloc->table);
	moved = alloc->moved;
	mutex_unlock(&alloc->lock);
	if (entries || moved || !qcow2_commit_may_lag(image))
		ret = qcow2_commit_blocks(image, generation);
	else
		*generation = alloc->generation++;
	if (!ret && entries)
		ret = qcow2_commit_table(image);
	if (!ret && moved)
		ret = qcow2_commit_move(image);
	mutex_unlock(&alloc->grow_lock);
	return ret;
}

static void qcow2_snapshot_entries(struct qcow2_image *image,
				   struct qcow2_batch *batch,
				   struct list_head *todo)
{
	struct qcow2_layer *layer = qcow2_active(image);

	qcow2_batch_init(batch, image, &image->commit.entries);
	qcow2_snapshot_slices(batch, &layer->l2, todo);
	if (batch->truncated)
		return;
	WRITE_ONCE(image->commit.l1_busy, true);
	/* Before the bits are cleared: qcow2_extent.durable looks at both. */
	smp_mb();
	qcow2_snapshot_table(batch, &layer->l1, layer->l2.slice_bits);
}

/* The first one covers all files of the layer, the second one entries only. */
static int qcow2_commit_barrier(struct qcow2_image *image, int nr)
{
	struct qcow2_layer *layer = qcow2_active(image);

	if (nr == QCOW2_FAULT_BARRIER)
		return 0;
	return nr == 1 ? qcow2_layer_flush(layer) : qcow2_io_flush(&layer->meta);
}

/* What one round has memory for; @todo and @again tell what is left. */
static int qcow2_commit_round(struct qcow2_image *image, struct list_head *todo,
			      bool *again)
{
	unsigned long generation;
	struct qcow2_batch batch;
	int ret;

	qcow2_snapshot_entries(image, &batch, todo);
	ret = qcow2_commit_refcounts(image, &generation);
	if (!ret)
		ret = qcow2_commit_barrier(image, 1);
	if (!ret && !list_empty(&batch.copies)) {
		ret = qcow2_batch_write(&batch);
		if (!ret)
			ret = qcow2_commit_barrier(image, 2);
	}
	qcow2_batch_finish(&batch, ret);
	/* After the bits that a failure has set again. */
	smp_store_release(&image->commit.l1_busy, false);
	*again = batch.truncated;
	if (!ret)
		qcow2_alloc_rested(image, generation);
	return ret;
}

static int qcow2_commit_dirty(struct qcow2_image *image)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct list_head *freed = &image->commit.freed;
	LIST_HEAD(todo);
	LIST_HEAD(gone);
	bool again;
	int ret;

	/* What has been freed by now has its L2 entries in the slices taken. */
	spin_lock_irq(&layer->l2.lock);
	list_splice_init(freed, &gone);
	list_splice_init(&layer->l2.dirty, &todo);
	spin_unlock_irq(&layer->l2.lock);
	do {
		ret = qcow2_commit_round(image, &todo, &again);
	} while (!ret && again);
	qcow2_move_dirty(&layer->l2, &todo, &layer->l2.dirty);
	/*
	 * It may go when all entries that named it are replaced on disk, and when
	 * nobody uses it who looked it up before.
	 */
	if (ret || (!list_empty(&gone) && !qcow2_epoch_retire(image, &gone)))
		qcow2_move_dirty(&layer->l2, &gone, freed);
	qcow2_cache_shrink(&layer->l2);
	qcow2_cache_shrink(&image->alloc.blocks);
	return ret;
}

static bool qcow2_commit_needed(struct qcow2_image *image)
{
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_alloc *alloc = &image->alloc;
	bool needed;

	mutex_lock(&alloc->lock);
	spin_lock_irq(&alloc->blocks.lock);
	needed = !list_empty(&alloc->blocks.dirty);
	spin_unlock_irq(&alloc->blocks.lock);
	needed |= qcow2_table_dirty(&alloc->table) || alloc->moved ||
		  !xa_empty(&alloc->resting);
	mutex_unlock(&alloc->lock);
	spin_lock_irq(&layer->l2.lock);
	needed |= !list_empty(&layer->l2.dirty) ||
		  !list_empty(&image->commit.freed) ||
		  qcow2_table_dirty(&layer->l1);
	spin_unlock_irq(&layer->l2.lock);
	return needed;
}

/* @wanted: somebody waits for what is in the file already, too. */
static int qcow2_commit_run(struct qcow2_image *image, bool wanted)
{
	int ret = image->commit.error;

	if (ret) {
		qcow2_header_mark_corrupt(image);
		return ret;
	}
	if (!image->writable)
		return 0;
	if (READ_ONCE(image->commit.stopped))
		return -ESHUTDOWN;
	if (qcow2_commit_needed(image)) {
		atomic64_inc(&image->dev->stats.commits);
		ret = qcow2_commit_dirty(image);
	} else if (wanted) {
		ret = qcow2_layer_flush(qcow2_active(image));
	}
	WRITE_ONCE(image->commit.no_space, qcow2_error_is_space(ret));
	/*
	 * What could not be written is dirty still, and nothing has come before it.
	 * Who wants all of it written, for a window or a detach, can do without that.
	 */
	if (qcow2_error_passes(ret))
		qcow2_commit_soon(image);
	else if (ret && !READ_ONCE(image->commit.all))
		qcow2_image_fail(image, ret);
	return ret;
}

static void qcow2_commit_work(struct work_struct *work)
{
	struct qcow2_commit *commit =
		container_of(work, struct qcow2_commit, work);
	struct qcow2_image *image =
		container_of(commit, struct qcow2_image, commit);
	unsigned int flags = qcow2_work_begin();
	struct qcow2_commit_waiter *waiter, *next;
	LIST_HEAD(waiters);
	int ret;

	spin_lock_irq(&commit->lock);
	list_splice_init(&commit->waiters, &waiters);
	spin_unlock_irq(&commit->lock);
	ret = qcow2_commit_run(image, !list_empty(&waiters));
	list_for_each_entry_safe(waiter, next, &waiters, node)
		waiter->end(waiter, ret);
	qcow2_work_end(flags);
}

static void qcow2_commit_timer(struct work_struct *work)
{
	struct qcow2_commit *commit =
		container_of(work, struct qcow2_commit, timer.work);
	struct qcow2_image *image =
		container_of(commit, struct qcow2_image, commit);

	qcow2_bounces_trim(&image->bounces);
	queue_work(image->commit_wq, &commit->work);
}

/**
 * qcow2_commit_queue() - have metadata and data made durable
 * @image: the image
 * @waiter: told when everything is durable that had ended before the call
 *
 * Context: any.
 */
void qcow2_commit_queue(struct qcow2_image *image,
			struct qcow2_commit_waiter *waiter)
{
	struct qcow2_commit *commit = &image->commit;
	unsigned long flags;

	spin_lock_irqsave(&commit->lock, flags);
	list_add_tail(&waiter->node, &commit->waiters);
	/* Without the lock the last request may end, and the image with it. */
	queue_work(image->commit_wq, &commit->work);
	spin_unlock_irqrestore(&commit->lock, flags);
}

/**
 * qcow2_commit_soon() - something has become dirty
 * @image: the image
 *
 * Context: any.
 */
void qcow2_commit_soon(struct qcow2_image *image)
{
	if (!delayed_work_pending(&image->commit.timer))
		queue_delayed_work(image->commit_wq, &image->commit.timer,
				   QCOW2_COMMIT_DELAY);
}

/**
 * qcow2_commit_now() - so much is dirty that it must be written
 * @image: the image
 *
 * Context: any.
 */
void qcow2_commit_now(struct qcow2_image *image)
{
	queue_work(image->commit_wq, &image->commit.work);
}

struct qcow2_sync {
	struct qcow2_commit_waiter waiter;
	struct completion done;
	int error;
};

static void qcow2_sync_end(struct qcow2_commit_waiter *waiter, int error)
{
	struct qcow2_sync *sync = container_of(waiter, struct qcow2_sync, waiter);

	sync->error = error;
	complete(&sync->done);
}

/**
 * qcow2_commit_wait() - have metadata and data made durable, and wait for it
 * @image: the image
 *
 * Context: may sleep; not the commit queue.
 * Return: 0 or a negative errno.
 */
int qcow2_commit_wait(struct qcow2_image *image)
{
	struct qcow2_sync sync = { .waiter.end = qcow2_sync_end };

	init_completion(&sync.done);
	qcow2_commit_queue(image, &sync.waiter);
	wait_for_completion(&sync.done);
	return sync.error;
}

/**
 * qcow2_commit_all() - commit until nothing is left to be done
 * @image: without requests in flight
 *
 * The first commit replaces the entries of what was freed, the second writes
 * the lowered refcounts, the third finds nothing.
 *
 * Context: may sleep; not a worker of the image.
 * Return: 0 or a negative errno.
 */
int qcow2_commit_all(struct qcow2_image *image)
{
	int round, ret = -EBUSY;
	bool done = false;

	WRITE_ONCE(image->commit.all, true);
	for (round = 0; round < QCOW2_COMMIT_ROUNDS && !done; round++) {
		ret = qcow2_commit_wait(image);
		if (ret == -ENOMEM) {
			msleep(QCOW2_COMMIT_PAUSE);
			continue;
		}
		if (ret)
			break;
		qcow2_epoch_wait(image);
		done = !qcow2_commit_needed(image);
	}
	WRITE_ONCE(image->commit.all, false);
	return ret ? ret : done ? 0 : -EBUSY;
}

/**
 * qcow2_commit_init() - set up an image's commits
 * @image: it
 *
 * Return: 0 or -ENOMEM.
 */
int qcow2_commit_init(struct qcow2_image *image)
{
	struct qcow2_commit *commit = &image->commit;
	int ret;

	spin_lock_init(&commit->lock);
	INIT_LIST_HEAD(&commit->waiters);
	INIT_LIST_HEAD(&commit->freed);
	INIT_WORK(&commit->work, qcow2_commit_work);
	INIT_DELAYED_WORK(&commit->timer, qcow2_commit_timer);
	ret = mempool_init(&commit->refcounts, QCOW2_COMMIT_RESERVE,
			   qcow2_copy_alloc, qcow2_copy_free, NULL);
	if (!ret)
		ret = mempool_init(&commit->entries, QCOW2_COMMIT_RESERVE,
				   qcow2_copy_alloc, qcow2_copy_free, NULL);
	return ret;
}

/**
 * qcow2_commit_stop() - end the commit that runs, and forget the next one
 * @image: without requests in flight; what is dirty is lost
 *
 * An epoch that ends afterwards may start another one, which does nothing.
 *
 * Context: may sleep; not a worker of the image.
 */
void qcow2_commit_stop(struct qcow2_image *image)
{
	WRITE_ONCE(image->commit.stopped, true);
	cancel_delayed_work_sync(&image->commit.timer);
	cancel_work_sync(&image->commit.work);
}

/**
 * qcow2_commit_exit() - tear an image's commits down
 * @image: stopped, and its last epoch has ended
 */
void qcow2_commit_exit(struct qcow2_image *image)
{
	struct qcow2_commit *commit = &image->commit;
	struct qcow2_free *run, *next;

	qcow2_commit_stop(image);
	list_for_each_entry_safe(run, next, &commit->freed, node)
		kfree(run);
	mempool_exit(&commit->refcounts);
	mempool_exit(&commit->entries);
}
