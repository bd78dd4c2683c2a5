// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slices of L2 tables and refcount blocks in memory.
 *
 * A slice is found by its key in a hash table under RCU. Keys are dense:
 * while there are as many buckets as keys, each has its own, and a lookup costs
 * two loads where a tree would cost one for each level. Whoever changes or
 * keeps a slice pins it: eviction takes only slices whose single reference is
 * the cache's own, with refcount_dec_if_one(), so a pin and an eviction cannot
 * both succeed. A dirty slice is pinned by being dirty.
 *
 * A slice is inserted before it is read. There is never a second one with the
 * same key, so a slow reader cannot bring back an old state of a table.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include "qcow2.h"

/* Slices that a cache may always hold. */
#define QCOW2_CACHE_MIN		16

/* Buckets at most. */
#define QCOW2_CACHE_MAX_BITS	16

/* Slices that are looked at to evict one; the lock is held meanwhile. */
#define QCOW2_CACHE_TRIES	64

/**
 * qcow2_cache_init() - set up an empty cache
 * @cache: it
 * @layer: whose tables
 * @host: see &struct qcow2_cache
 * @look: see &struct qcow2_cache
 */
void qcow2_cache_init(struct qcow2_cache *cache, struct qcow2_layer *layer,
		      s64 (*host)(struct qcow2_layer *layer, u64 key),
		      void (*look)(struct qcow2_layer *layer,
				   struct qcow2_slice *slice))
{
	cache->layer = layer;
	cache->host = host;
	cache->look = look;
	cache->buckets = NULL;
	spin_lock_init(&cache->lock);
	INIT_LIST_HEAD(&cache->clock);
	INIT_LIST_HEAD(&cache->dirty);
	cache->nr = 0;
}

/* What a slice takes: what is sent over a network must have a page of its own. */
static size_t qcow2_slice_bytes(const struct qcow2_cache *cache)
{
	size_t bytes = BIT(cache->slice_bits);

	return cache->layer->meta.remote ? max_t(size_t, bytes, PAGE_SIZE) : bytes;
}

/**
 * qcow2_cache_size() - set what an empty cache may hold
 * @cache: it
 * @slice_bits: log2 of a slice's bytes
 * @max_bytes: bound
 * @nr_keys: about so many slices there are in all
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int qcow2_cache_size(struct qcow2_cache *cache, u32 slice_bits, u64 max_bytes,
		     u64 nr_keys)
{
	u64 nr;

	cache->slice_bits = slice_bits;
	cache->max = max_t(u64, div_u64(max_bytes, qcow2_slice_bytes(cache) +
					sizeof(struct qcow2_slice)),
			   QCOW2_CACHE_MIN);
	nr = clamp_t(u64, nr_keys, QCOW2_CACHE_MIN, cache->max);
	cache->bucket_bits = min(order_base_2(nr), QCOW2_CACHE_MAX_BITS);
	cache->buckets = kvcalloc(BIT(cache->bucket_bits),
				  sizeof(*cache->buckets), GFP_KERNEL);
	return cache->buckets ? 0 : -ENOMEM;
}

static void qcow2_slice_free(struct qcow2_slice *slice)
{
	qcow2_buf_free(slice->data);
	kfree(slice);
}

static void qcow2_slice_free_rcu(struct rcu_head *rcu)
{
	qcow2_slice_free(container_of(rcu, struct qcow2_slice, rcu));
}

/**
 * qcow2_cache_destroy() - free all slices
 * @cache: no longer used by anybody
 */
void qcow2_cache_destroy(struct qcow2_cache *cache)
{
	struct qcow2_slice *slice, *next;

	list_for_each_entry_safe(slice, next, &cache->clock, clock)
		qcow2_slice_free(slice);
	INIT_LIST_HEAD(&cache->clock);
	kvfree(cache->buckets);
	cache->buckets = NULL;
}

static struct hlist_head *qcow2_cache_bucket(struct qcow2_cache *cache, u64 key)
{
	/* The upper half spreads strides that are powers of two. */
	return &cache->buckets[(key ^ key >> cache->bucket_bits) &
			       (BIT(cache->bucket_bits) - 1)];
}

/* Whatever its state. Inside rcu_read_lock(), or under the lock. */
static struct qcow2_slice *qcow2_cache_find(struct qcow2_cache *cache, u64 key)
{
	struct qcow2_slice *slice;

	hlist_for_each_entry_rcu(slice, qcow2_cache_bucket(cache, key), hash,
				 lockdep_is_held(&cache->lock)) {
		if (slice->key == key)
			return slice;
	}
	return NULL;
}

/* Takes a slice away from those who look for one. */
static void qcow2_cache_remove(struct qcow2_cache *cache,
			       struct qcow2_slice *slice)
{
	lockdep_assert_held(&cache->lock);
	hlist_del_rcu(&slice->hash);
	list_del(&slice->clock);
	WRITE_ONCE(cache->nr, cache->nr - 1);
}

/**
 * qcow2_cache_peek() - look a slice up without taking anything
 * @cache: where
 * @key: of the slice
 *
 * Context: inside rcu_read_lock().
 * Return: the slice, valid until rcu_read_unlock(), or NULL if it is not
 * in memory.
 */
struct qcow2_slice *qcow2_cache_peek(struct qcow2_cache *cache, u64 key)
{
	struct qcow2_slice *slice = qcow2_cache_find(cache, key);
	unsigned long flags;

	if (!slice)
		return NULL;
	/* Pairs with the clearing of LOADING: the data comes after the flag. */
	flags = smp_load_acquire(&slice->flags);
	if (flags & (BIT(QCOW2_SLICE_LOADING) | BIT(QCOW2_SLICE_BAD)))
		return NULL;
	if (!(flags & BIT(QCOW2_SLICE_USED)))
		set_bit(QCOW2_SLICE_USED, &slice->flags);
	return slice;
}

/**
 * qcow2_cache_unpin() - give a pin back
 * @slice: was pinned
 *
 * Context: any.
 */
void qcow2_cache_unpin(struct qcow2_slice *slice)
{
	/* The last one is the cache's own, but for a slice that went bad. */
	if (refcount_dec_and_test(&slice->ref))
		call_rcu(&slice->rcu, qcow2_slice_free_rcu);
}

/*
 * Evict clean slices that nobody pins, while there are more than @keep; the clock
 * hand is the list's head. Returns how many there were.
 */
static unsigned int qcow2_cache_evict(struct qcow2_cache *cache,
				      unsigned int keep)
{
	struct qcow2_slice *slice;
	unsigned int tries, nr = 0;
	bool dirty;

	spin_lock_irq(&cache->lock);
	for (tries = QCOW2_CACHE_TRIES; cache->nr > keep && tries; tries--) {
		slice = list_first_entry(&cache->clock, struct qcow2_slice, clock);
		list_move_tail(&slice->clock, &cache->clock);
		if (test_and_clear_bit(QCOW2_SLICE_USED, &slice->flags) ||
		    !refcount_dec_if_one(&slice->ref))
			continue;
		qcow2_cache_remove(cache, slice);
		call_rcu(&slice->rcu, qcow2_slice_free_rcu);
		nr++;
	}
	dirty = !tries && !list_empty(&cache->dirty);
	spin_unlock_irq(&cache->lock);
	/* Perhaps too many are dirty: a commit makes them evictable. */
	if (dirty)
		qcow2_commit_now(cache->layer->image);
	return nr;
}

/**
 * qcow2_cache_shrink() - go back to the bound, after slices have become clean
 * @cache: where
 *
 * Context: may sleep.
 */
void qcow2_cache_shrink(struct qcow2_cache *cache)
{
	while (READ_ONCE(cache->nr) > cache->max &&
	       qcow2_cache_evict(cache, cache->max))
		cond_resched();
}

/* Below this a cache does not shrink. */
static unsigned long qcow2_cache_spare(struct qcow2_cache *cache)
{
	unsigned int nr = READ_ONCE(cache->nr);

	return nr > QCOW2_CACHE_MIN ? nr - QCOW2_CACHE_MIN : 0;
}

static unsigned long qcow2_shrinker_count(struct shrinker *shrinker,
					  struct shrink_control *sc)
{
	struct qcow2_image *image = shrinker->private_data;
	unsigned long nr = qcow2_cache_spare(&image->alloc.blocks);
	u32 i;

	for (i = 0; i < image->chain->nr; i++)
		nr += qcow2_cache_spare(&image->layers[i].l2);
	return nr ? nr : SHRINK_EMPTY;
}

/* Takes no lock that anybody holds who allocates. */
static unsigned long qcow2_shrinker_scan(struct shrinker *shrinker,
					 struct shrink_control *sc)
{
	struct qcow2_image *image = shrinker->private_data;
	unsigned long nr = qcow2_cache_evict(&image->alloc.blocks,
					     QCOW2_CACHE_MIN);
	u32 i;

	qcow2_bounces_trim(&image->bounces);
	for (i = 0; i < image->chain->nr && nr < sc->nr_to_scan; i++)
		nr += qcow2_cache_evict(&image->layers[i].l2, QCOW2_CACHE_MIN);
	return nr ? nr : SHRINK_STOP;
}

/**
 * qcow2_shrinker_add() - give memory back when there is little of it
 * @image: its caches are set up
 *
 * Return: 0 or -ENOMEM.
 */
int qcow2_shrinker_add(struct qcow2_image *image)
{
	struct shrinker *shrinker = shrinker_alloc(0, QCOW2_NAME "%d",
						   image->dev->index);

	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = qcow2_shrinker_count;
	shrinker->scan_objects = qcow2_shrinker_scan;
	shrinker->private_data = image;
	shrinker_register(shrinker);
	image->shrinker = shrinker;
	return 0;
}

/**
 * qcow2_shrinker_remove() - no longer
 * @image: may have none
 *
 * Context: may sleep.
 */
void qcow2_shrinker_remove(struct qcow2_image *image)
{
	shrinker_free(image->shrinker);
}

/* With a reference for the cache and one for the caller. */
static struct qcow2_slice *qcow2_slice_alloc(struct qcow2_cache *cache, u64 key)
{
	struct qcow2_slice *slice = kzalloc_obj(*slice, GFP_NOIO);

	if (!slice)
		return NULL;
	slice->data = qcow2_buf_alloc(qcow2_slice_bytes(cache),
				      GFP_NOIO | __GFP_ZERO);
	if (!slice->data) {
		kfree(slice);
		return NULL;
	}
	refcount_set(&slice->ref, 2);
	slice->key = key;
	seqcount_spinlock_init(&slice->seq, &cache->lock);
	INIT_LIST_HEAD(&slice->dirty);
	return slice;
}

/* False if there is one with its key. */
static bool qcow2_cache_insert(struct qcow2_cache *cache,
			       struct qcow2_slice *slice)
{
	spin_lock_irq(&cache->lock);
	if (qcow2_cache_find(cache, slice->key)) {
		spin_unlock_irq(&cache->lock);
		return false;
	}
	hlist_add_head_rcu(&slice->hash, qcow2_cache_bucket(cache, slice->key));
	list_add_tail(&slice->clock, &cache->clock);
	WRITE_ONCE(cache->nr, cache->nr + 1);
	spin_unlock_irq(&cache->lock);
	if (READ_ONCE(cache->nr) > cache->max)
		qcow2_cache_evict(cache, cache->max);
	return true;
}

static int qcow2_cache_load(struct qcow2_cache *cache,
			    struct qcow2_slice *slice)
{
	s64 host = cache->host(cache->layer, slice->key);
	int ret = host;

	if (host > 0)
		ret = qcow2_io_buf(&cache->layer->meta, ITER_DEST, host, slice->data,
				   1UL << cache->slice_bits);
	else if (!host)
		ret = -ENOENT;
	if (ret) {
		set_bit(QCOW2_SLICE_BAD, &slice->flags);
		spin_lock_irq(&cache->lock);
		qcow2_cache_remove(cache, slice);
		spin_unlock_irq(&cache->lock);
	} else if (cache->look) {
		cache->look(cache->layer, slice);
	}
	clear_and_wake_up_bit(QCOW2_SLICE_LOADING, &slice->flags);
	if (ret) {
		qcow2_cache_unpin(slice);
		qcow2_cache_unpin(slice);
	}
	return ret;
}

/**
 * qcow2_cache_pin_cached() - pin a slice if it is in memory
 * @cache: where
 * @key: of the slice
 *
 * Context: any; does not sleep.
 * Return: the slice, or NULL.
 */
struct qcow2_slice *qcow2_cache_pin_cached(struct qcow2_cache *cache, u64 key)
{
	struct qcow2_slice *slice;

	rcu_read_lock();
	slice = qcow2_cache_peek(cache, key);
	if (slice && !refcount_inc_not_zero(&slice->ref))
		slice = NULL;
	rcu_read_unlock();
	return slice;
}

/*
 * Wait for somebody else's load, or for an evicted slice to go. If the load
 * failed, the next attempt finds out why.
 */
static void qcow2_cache_wait(struct qcow2_cache *cache, u64 key)
{
	struct qcow2_slice *slice;

	rcu_read_lock();
	slice = qcow2_cache_find(cache, key);
	if (slice && !refcount_inc_not_zero(&slice->ref))
		slice = NULL;
	rcu_read_unlock();
	if (!slice) {
		cond_resched();
		return;
	}
	wait_on_bit(&slice->flags, QCOW2_SLICE_LOADING, TASK_UNINTERRUPTIBLE);
	qcow2_cache_unpin(slice);
}

/**
 * qcow2_cache_pin() - pin a slice, read it if need be
 * @cache: where
 * @key: of the slice
 *
 * Context: may sleep and do I/O.
 * Return: the slice, to be unpinned, or ERR_PTR: -ENOENT if the table does
 * not exist, -EIO or -ENOMEM.
 */
struct qcow2_slice *qcow2_cache_pin(struct qcow2_cache *cache, u64 key)
{
	struct qcow2_slice *slice;
	int ret;

	for (;;) {
		slice = qcow2_cache_pin_cached(cache, key);
		if (slice)
			return slice;
		slice = qcow2_slice_alloc(cache, key);
		if (!slice)
			return ERR_PTR(-ENOMEM);
		set_bit(QCOW2_SLICE_LOADING, &slice->flags);
		if (qcow2_cache_insert(cache, slice)) {
			ret = qcow2_cache_load(cache, slice);
			return ret ? ERR_PTR(ret) : slice;
		}
		qcow2_slice_free(slice);
		qcow2_cache_wait(cache, key);
	}
}

/**
 * qcow2_cache_add_blank() - pin a new slice of zeroes
 * @cache: where
 * @key: of a slice whose table is just being made
 *
 * Context: may sleep.
 * Return: the slice, to be unpinned, or ERR_PTR.
 */
struct qcow2_slice *qcow2_cache_add_blank(struct qcow2_cache *cache, u64 key)
{
	struct qcow2_slice *slice = qcow2_slice_alloc(cache, key), *there;

	if (!slice)
		return ERR_PTR(-ENOMEM);
	/* Somebody may just be finding out that it does not exist. */
	while (!qcow2_cache_insert(cache, slice)) {
		/* Or an attempt to make the table has failed after this one. */
		there = qcow2_cache_pin_cached(cache, key);
		if (there) {
			qcow2_slice_free(slice);
			return there;
		}
		qcow2_cache_wait(cache, key);
	}
	return slice;
}

/**
 * qcow2_cache_dirty() - have the next commit write a slice
 * @cache: where
 * @slice: pinned by the caller, about to be changed
 *
 * To be called before the change: who sees the change must see the flag too
 * (qcow2_extent.durable).
 *
 * Context: @cache->lock held.
 */
void qcow2_cache_dirty(struct qcow2_cache *cache, struct qcow2_slice *slice)
{
	lockdep_assert_held(&cache->lock);
	if (test_bit(QCOW2_SLICE_DIRTY, &slice->flags))
		return;
	refcount_inc(&slice->ref);
	list_add_tail(&slice->dirty, &cache->dirty);
	WRITE_ONCE(cache->nr_dirty, cache->nr_dirty + 1);
	set_bit(QCOW2_SLICE_DIRTY, &slice->flags);
	/* Pairs with the read barrier in qcow2_slice_durable(). */
	smp_mb__after_atomic();
}
