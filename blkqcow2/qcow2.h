/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * blkqcow2: structures and functions shared between the driver's files.
 *
 * Lock order, outer first:
 *
 *	dev->ctl_lock		state changes of a device; sleeps
 *	  disk->open_mutex	who has the disk open; the block layer's
 *	  qcow2_devs_lock	table of devices, their chains, images; sleeps
 *	  alloc->grow_lock	adds refcount blocks; sleeps, held over I/O
 *	  image->extend_lock	grows the active file; sleeps, held over I/O
 *	  image->header_lock	changes the header; sleeps, held over I/O
 *	    alloc->lock		refcounts in memory, cursor; sleeps, no I/O
 *	      cache->lock	cached tables' entries, dirty and clock lists; irq
 *	        overlap->lock	where metadata lies, entries that name it; irq
 *	      ranges->lock	locked ranges and who waits for them; irq
 *	      commit->lock	who waits for a commit; irq
 *
 * No lock is held over I/O on the data path: growing happens once per large
 * step, and what a request waits for otherwise (a cluster or a table that
 * another request is allocating) it waits for parked, without a thread.
 */
#ifndef _QCOW2_H
#define _QCOW2_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/errseq.h>
#include <linux/fs.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/sizes.h>
#include <linux/uio.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <linux/blkqcow2.h>

#include "qcow2_err.h"
#include "qcow2_format.h"

#define QCOW2_NAME		"qcow2"
#define QCOW2_SECTOR_BYTES	((u32)SECTOR_SIZE)

/* Unit in which tables are read, cached and written, at most a cluster. */
#define QCOW2_MAX_SLICE_BITS	12

/* Unit in which content is copied, a power of two. */
#define QCOW2_BOUNCE_BYTES	SZ_64K

struct qcow2_dev;
struct qcow2_image;
struct qcow2_layer;
struct qcow2_io;

/* ---- cache.c: slices of L2 tables and refcount blocks ---- */

enum {
	QCOW2_SLICE_LOADING,		/* being read from the file */
	QCOW2_SLICE_BAD,		/* could not be read */
	QCOW2_SLICE_DIRTY,		/* on cache->dirty, changed since snapshot */
	QCOW2_SLICE_WRITEBACK,		/* a commit is writing a snapshot of it */
	QCOW2_SLICE_USED,		/* looked up since the clock hand passed */
	QCOW2_SLICE_SUSPECT,		/* an entry names metadata; see overlap.c */
};

/**
 * struct qcow2_slice - a piece of a table in memory
 * @ref: one for being in the cache, one per pin; dirty is a pin
 * @flags: QCOW2_SLICE_*
 * @key: position in the sequence of all slices of its kind
 * @hash: in one of cache->buckets
 * @clock: in cache->clock
 * @dirty: in cache->dirty
 * @rcu: frees it after the last lock-free reader
 * @seq: of an L2 slice, changes with each change of extended entries
 * @data: the table's bytes as they are on disk, aligned for direct I/O
 */
struct qcow2_slice {
	refcount_t ref;
	unsigned long flags;
	u64 key;
	struct hlist_node hash;
	struct list_head clock;
	struct list_head dirty;
	struct rcu_head rcu;
	seqcount_spinlock_t seq;
	void *data;
};

/**
 * struct qcow2_cache - slices of one kind of table of one layer
 * @layer: whose tables they are
 * @host: host offset of a slice, by its key; 0 if the table does not exist,
 *	a negative errno if what leads to it is invalid. Called without locks
 * @look: sees a slice that has been read before anybody else does; or NULL
 * @buckets: slices by a hash of their keys; read under RCU
 * @bucket_bits: log2 of how many they are
 * @slice_bits: log2 of a slice's bytes
 * @lock: protects the buckets, the lists, and the entries of L2 slices
 * @clock: all slices, for eviction
 * @dirty: those that the next commit writes
 * @nr: slices in the cache
 * @nr_dirty: how many of them the next commit writes
 * @max: bound of @nr; pinned slices may exceed it
 */
struct qcow2_cache {
	struct qcow2_layer *layer;
	s64 (*host)(struct qcow2_layer *layer, u64 key);
	void (*look)(struct qcow2_layer *layer, struct qcow2_slice *slice);
	struct hlist_head *buckets;
	u32 bucket_bits;
	u32 slice_bits;
	spinlock_t lock; /* buckets, lists, entries of L2 slices */
	struct list_head clock;
	struct list_head dirty;
	unsigned long nr;
	unsigned long nr_dirty;
	unsigned long max;
};

void qcow2_cache_init(struct qcow2_cache *cache, struct qcow2_layer *layer,
		      s64 (*host)(struct qcow2_layer *layer, u64 key),
		      void (*look)(struct qcow2_layer *layer,
				   struct qcow2_slice *slice));
int qcow2_cache_size(struct qcow2_cache *cache, u32 slice_bits, u64 max_bytes,
		     u64 nr_keys);
void qcow2_cache_destroy(struct qcow2_cache *cache);
struct qcow2_slice *qcow2_cache_peek(struct qcow2_cache *cache, u64 key);
struct qcow2_slice *qcow2_cache_pin_cached(struct qcow2_cache *cache, u64 key);
struct qcow2_slice *qcow2_cache_pin(struct qcow2_cache *cache, u64 key);
struct qcow2_slice *qcow2_cache_add_blank(struct qcow2_cache *cache, u64 key);
void qcow2_cache_unpin(struct qcow2_slice *slice);
void qcow2_cache_dirty(struct qcow2_cache *cache, struct qcow2_slice *slice);
int qcow2_shrinker_add(struct qcow2_image *image);
void qcow2_shrinker_remove(struct qcow2_image *image);
void qcow2_cache_shrink(struct qcow2_cache *cache);

/* Is more of it dirty than it may hold? */
static inline bool qcow2_cache_is_crowded(const struct qcow2_cache *cache)
{
	return READ_ONCE(cache->nr_dirty) > cache->max;
}

/* ---- layer.c ---- */

/**
 * struct qcow2_index - finds a table's entries by the cluster that they name
 * @chains: for each value of the hash, the number of the first entry plus one
 * @next: for each entry, the number of the next one in its chain plus one
 * @bits: log2 of how many chains there are
 * @factor: of the hash
 */
struct qcow2_index {
	u32 *chains;
	u32 *next;
	u32 bits;
	u64 factor;
};

/**
 * struct qcow2_table - a table that is in memory as a whole (L1, refcounts)
 * @entries: as they are on disk
 * @host: host offset of the table
 * @nr: entries
 * @nr_blocks: slice-sized blocks that hold them
 * @dirty: a bit for each slice-sized block that the next commit writes
 * @index: of a table that may be written; under overlap.lock
 */
struct qcow2_table {
	__be64 *entries;
	u64 host;
	u32 nr;
	u32 nr_blocks;
	unsigned long *dirty;
	struct qcow2_index index;
};

/**
 * struct qcow2_file - an open file of a layer
 * @image: the image it belongs to
 * @file: the file; NULL if there is none
 * @regular: it is a regular file
 * @remote: its file system needs no disk, as those that send pages over a network
 * @direct: it takes direct I/O
 * @nowait: it can refuse instead of blocking
 * @no_punch: it has refused to have a hole punched
 * @dio_align: alignment of offsets and lengths for direct I/O, in bytes
 * @dma_align: alignment of memory for direct I/O, in bytes
 * @size: its length in bytes when it was validated; of the active layer how
 *	far it has been extended since
 * @mapping: its pages, of an overlay those of the file that does the I/O
 * @wb_err: which errors of writing back these had happened when it was opened
 */
struct qcow2_file {
	struct qcow2_image *image;
	struct file *file;
	bool regular;
	bool remote;
	bool direct;
	bool nowait;
	bool no_punch;
	u32 dio_align;
	u32 dma_align;
	u64 size;
	struct address_space *mapping;
	errseq_t wb_err;
};

/**
 * struct qcow2_layer - one layer of the chain
 * @image: the image it belongs to
 * @index: position in the chain, 0 is the active layer
 * @format: &enum qcow2_layer_format
 * @meta: the file that is the layer
 * @external: its external data file, if it has one
 * @data: where its guest data is: one of the two
 * @size: virtual size in bytes, whole sectors; of a raw layer rounded up
 * @header: qcow2 only
 * @bitmaps: where its persistent bitmaps are
 * @snapshots_bytes: length of its snapshot table
 * @cluster_bits: log2 of the cluster size
 * @entry_bits: log2 of the bytes of an L2 entry
 * @l2_bits: log2 of the entries of an L2 table
 * @names: hash of the names of other files that its header has
 * @plain: L2 entries are the usual ones, and data is in the file itself
 * @l1: the active L1 table, entries change under l2.lock
 * @l2: slices of L2 tables, keyed by guest offset
 */
struct qcow2_layer {
	struct qcow2_image *image;
	u32 index;
	u32 format;
	struct qcow2_file meta;
	struct qcow2_file external;
	struct qcow2_file *data;
	u64 size;
	struct qcow2_header header;
	struct qcow2_bitmaps bitmaps;
	u64 snapshots_bytes;
	u32 cluster_bits;
	u32 entry_bits;
	u32 l2_bits;
	u32 names;
	bool plain;
	struct qcow2_table l1;
	struct qcow2_cache l2;
};

static inline u64 qcow2_cluster_size(const struct qcow2_layer *layer)
{
	return BIT_ULL(layer->cluster_bits);
}

/* log2 of the bytes that an L2 entry can tell apart. */
static inline u32 qcow2_sub_bits(const struct qcow2_layer *layer)
{
	return layer->cluster_bits - (qcow2_is_extended(&layer->header) ?
				      QCOW2_SUBCLUSTERS_BITS : 0);
}

static inline u64 qcow2_in_cluster(const struct qcow2_layer *layer, u64 offset)
{
	return offset & (qcow2_cluster_size(layer) - 1);
}

int qcow2_layer_open(struct qcow2_layer *layer, bool writable,
		     u64 cache_bytes, struct qcow2_err *err);
void qcow2_layer_close(struct qcow2_layer *layer);
void qcow2_layer_drop_stale(struct qcow2_layer *layer);
void qcow2_file_buffer(struct qcow2_file *file);
bool qcow2_file_is_stable(const struct qcow2_file *file);
void *qcow2_bounce_alloc(size_t *len);
int qcow2_layer_read(struct qcow2_layer *layer, u64 pos, void *to, size_t len);
int qcow2_table_load(struct qcow2_layer *layer, struct qcow2_table *table,
		     u64 host, u32 nr, struct qcow2_err *err);
int qcow2_table_alloc(struct qcow2_table *table, u32 nr, u32 slice_bits);
void qcow2_table_free(struct qcow2_table *table);
bool qcow2_table_dirty(const struct qcow2_table *table);
void qcow2_table_mark(struct qcow2_table *table, u32 index, u32 slice_bits);

/* ---- map.c ---- */

/**
 * struct qcow2_extent - the answer of the mapper
 * @layer: that decides; NULL if no layer has the range (reads as zeroes)
 * @kind: of the range
 * @copied: the clusters may be written in place
 * @durable: the entries that say so are on disk (a commit has written them)
 * @bytes: compressed only: upper bound of the stream's length
 * @host: host offset of the range's first byte (data, zero with a cluster);
 *	of the compressed stream; else of the host cluster that a subcluster
 *	without data has all the same, or 0
 * @len: bytes
 */
struct qcow2_extent {
	struct qcow2_layer *layer;
	enum qcow2_kind kind;
	bool copied;
	bool durable;
	u32 bytes;
	u64 host;
	u64 len;
};

static inline bool qcow2_reads_zero(const struct qcow2_extent *ext)
{
	return ext->kind == QCOW2_UNALLOCATED || ext->kind == QCOW2_ZERO_PLAIN ||
	       ext->kind == QCOW2_ZERO_ALLOC;
}

int qcow2_map(struct qcow2_image *image, u32 first, u64 guest, u64 len,
	      bool cached_only, struct qcow2_extent *ext);
bool qcow2_is_zero(struct qcow2_image *image, u32 first, u64 guest, u64 len,
		   bool cached_only);
int qcow2_map_active(struct qcow2_image *image, u64 guest, u64 len,
		     bool cached_only, struct qcow2_extent *ext);
int qcow2_map_clusters(struct qcow2_image *image, struct qcow2_slice *slice,
		       u64 guest, u32 nr, struct qcow2_extent *ext);
u32 qcow2_sub_alloc(struct qcow2_image *image, struct qcow2_slice *slice,
		    u64 guest);

/* ---- io.c: direct file I/O ---- */

typedef void (*qcow2_io_end_t)(struct qcow2_io *io, int error);

/**
 * struct qcow2_io - one read or write of a file
 * @iocb: as handed to the file system
 * @iter: consumed by it
 * @start: the iterator as it was, to begin again or to fill a short read
 * @file: the file
 * @pos: host offset in bytes
 * @len: bytes asked for
 * @done: bytes done by earlier attempts
 * @file_size: of the file before the attempt, in bytes
 * @end: called once, in any context
 * @private: for @end
 * @ref: one for the submission, one for the completion
 * @copied: its memory does not allow direct I/O, which the file has
 * @ret: result of the attempt
 * @work: continues where sleeping is allowed
 */
struct qcow2_io {
	struct kiocb iocb;
	struct iov_iter iter;
	struct iov_iter start;
	struct qcow2_file *file;
	u64 pos;
	size_t len;
	size_t done;
	u64 file_size;
	qcow2_io_end_t end;
	void *private;
	atomic_t ref;
	bool copied;
	ssize_t ret;
	struct work_struct work;
};

/*
 * A worker does its work for requests that reclaim may wait for. Where it writes
 * through the page cache below, only the disk below is to slow it down, not the
 * dirty pages that wait for this very worker.
 */
static inline unsigned int qcow2_work_begin(void)
{
	unsigned int flags = current->flags;

	current->flags |= PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE;
	return flags;
}

static inline void qcow2_work_end(unsigned int flags)
{
	current_restore_flags(flags, PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE);
}

void qcow2_io_prepare(struct qcow2_io *io, struct qcow2_file *file, u64 pos,
		      u16 ioprio, bool sync_data);
void qcow2_io_submit(struct qcow2_io *io, bool nowait);
int qcow2_io_sync(struct qcow2_file *file, u64 pos, struct iov_iter *iter);
int qcow2_io_buf(struct qcow2_file *file, int dir, u64 pos, void *buf,
		 size_t len);
int qcow2_io_zero(struct qcow2_file *file, u64 pos, u64 len);
int qcow2_io_flush(struct qcow2_file *file);
int qcow2_file_check_uncut(struct qcow2_file *file);
int qcow2_layer_flush(struct qcow2_layer *layer);

/* ---- ranges.c: locked ranges of clusters and tables ---- */

struct qcow2_waiter {
	struct list_head node;
	void (*wake)(struct qcow2_waiter *waiter);
};

/**
 * struct qcow2_ranges - which ranges are being allocated
 * @lock: protects the rest, and every range's list of waiters
 * @tree: locked ranges, disjoint
 */
struct qcow2_ranges {
	spinlock_t lock; /* everything */
	struct rb_root tree;
};

struct qcow2_range {
	struct rb_node node;
	u64 first;
	u64 nr;
	struct list_head waiters;
};

void qcow2_ranges_init(struct qcow2_ranges *ranges);
bool qcow2_range_lock(struct qcow2_ranges *ranges, struct qcow2_range *range,
		      u64 first, u64 nr, struct qcow2_waiter *waiter);
void qcow2_range_unlock(struct qcow2_ranges *ranges, struct qcow2_range *range);

/* ---- l2.c: changes of L1 and L2 tables of the active layer ---- */

/**
 * struct qcow2_link - a change of the L2 entries of a run of clusters
 * @guest: guest offset of the first cluster
 * @nr: clusters, all in one slice
 * @raw: the first entry, host byte order; of extended ones its first half
 * @step: what is added from one entry to the next
 * @lo: with extended entries: from there, in bytes from @guest,
 * @hi: up to there
 * @kind: subclusters become that; the others stay what they are
 * @keep: only subclusters change, @raw is not looked at
 * @old: what the old entries named, to be freed when the new ones are
 *	durable; or NULL. Taken over
 */
struct qcow2_link {
	u64 guest;
	u32 nr;
	u64 raw;
	u64 step;
	u64 lo;
	u64 hi;
	enum qcow2_kind kind;
	bool keep;
	struct qcow2_free *old;
};

struct qcow2_free *qcow2_free_alloc(u64 first, u64 nr);
void qcow2_l2_link(struct qcow2_image *image, struct qcow2_slice *slice,
		   const struct qcow2_link *link);
bool qcow2_l2_is_writable(struct qcow2_layer *layer, u64 guest);
int qcow2_l2_make_writable(struct qcow2_image *image, u64 guest,
			   struct qcow2_waiter *waiter);
struct qcow2_slice *qcow2_l2_pin_cached(struct qcow2_layer *layer, u64 guest);
struct qcow2_slice *qcow2_l2_pin(struct qcow2_layer *layer, u64 guest);
u32 qcow2_l2_index(struct qcow2_layer *layer, u64 guest);
u32 qcow2_l2_slice_bits(const struct qcow2_layer *layer);
s64 qcow2_l2_host(struct qcow2_layer *layer, u64 key);

/* ---- refcount.c and alloc.c: clusters of the active layer ---- */

/**
 * struct qcow2_free - a run of clusters whose refcount is to be lowered by one
 * @node: in the list of those that wait for it (rule M4)
 * @first: first host cluster number
 * @nr: clusters
 * @punch: the host file may forget what becomes free
 */
struct qcow2_free {
	struct list_head node;
	u64 first;
	u64 nr;
	bool punch;
};

/**
 * struct qcow2_alloc - the allocator of the active layer's file
 * @lock: protects what follows and the contents of refcount slices
 * @grow_lock: held while a refcount block is added
 * @table: the refcount table
 * @moved: the table has moved; the header still names the old place
 * @old_host: where the header's table is
 * @old_clusters: and how long
 * @blocks: slices of refcount blocks
 * @order: log2 of the refcount width in bits
 * @slice_entries_bits: log2 of the refcounts in a slice
 * @block_bits: log2 of the refcounts in a block
 * @cursor: no cluster below it is free
 * @fresh: clusters from here on were never used: their bytes read as zeroes
 * @resting: clusters with refcount 0 that must not be used yet, by number;
 *	the value is the @generation in which they were freed
 * @nr_resting: how many they are
 * @nr_freed: clusters in lists that wait for their refcounts to be lowered
 * @generation: counts the snapshots of dirty refcounts that commits take
 */
struct qcow2_alloc {
	struct mutex lock; /* refcounts, cursor */
	struct mutex grow_lock; /* addition of refcount blocks */
	struct qcow2_table table;
	bool moved;
	u64 old_host;
	u32 old_clusters;
	struct qcow2_cache blocks;
	u32 order;
	u32 slice_entries_bits;
	u32 block_bits;
	u64 cursor;
	u64 fresh;
	struct xarray resting;
	unsigned long nr_resting;
	atomic_long_t nr_freed;
	unsigned long generation;
};

int qcow2_alloc_open(struct qcow2_image *image, u64 cache_bytes,
		     struct qcow2_err *err);
void qcow2_alloc_close(struct qcow2_image *image);
int qcow2_alloc_clusters(struct qcow2_image *image, u64 want, u64 *first,
			 u64 *nr, bool *fresh);
bool qcow2_alloc_at_once(struct qcow2_image *image, u64 want, bool fresh,
			 u64 *first);
int qcow2_refcount_read(struct qcow2_image *image, u64 cluster, u64 *value);
int qcow2_refcount_lower(struct qcow2_image *image, u64 first, u64 nr,
			 bool rest);
int qcow2_refcount_add_block(struct qcow2_image *image, u64 block);
u64 qcow2_layer_end(struct qcow2_layer *layer);
int qcow2_image_extend(struct qcow2_image *image, u64 end);
int qcow2_data_extend(struct qcow2_image *image, u64 end);
int qcow2_data_zero(struct qcow2_image *image, u64 pos, u64 len, bool unmap);
int qcow2_punch(struct qcow2_file *file, u64 pos, u64 len);
void qcow2_punch_resting(struct qcow2_image *image, u64 first, u64 nr);
void qcow2_alloc_rested(struct qcow2_image *image, unsigned long generation);
int qcow2_image_trim(struct qcow2_image *image);
s64 qcow2_refcount_host(struct qcow2_layer *layer, u64 key);
struct qcow2_slice *qcow2_refcount_pin(struct qcow2_image *image, u64 cluster);
void qcow2_refcount_dirty(struct qcow2_image *image, struct qcow2_slice *slice);
u32 qcow2_refcount_index(struct qcow2_image *image, u64 cluster);
u64 qcow2_refcount_key(struct qcow2_image *image, u64 cluster);

/* ---- overlap.c: where the active layer's metadata lies ---- */

/* What the header names. */
enum {
	QCOW2_FIXED_HEADER,
	QCOW2_FIXED_L1,
	QCOW2_FIXED_REFTABLE,
	QCOW2_FIXED_SNAPSHOTS,
	QCOW2_FIXED_BITMAPS,
	QCOW2_FIXED_MOVED,		/* a refcount table that it will name */
	QCOW2_FIXED_NR,
};

/* Host clusters from @first up to, without, @end. */
struct qcow2_span {
	u64 first;
	u64 end;
};

/**
 * struct qcow2_overlap - what must be neither overwritten nor freed
 * @lock: protects the rest, and the indices of L1 and the refcount table
 * @fixed: by QCOW2_FIXED_*; empty ones are all zero
 * @inactive: L1 tables of snapshots
 * @nr_inactive: how many they are
 */
struct qcow2_overlap {
	spinlock_t lock; /* everything */
	struct qcow2_span fixed[QCOW2_FIXED_NR];
	struct qcow2_span *inactive;
	u32 nr_inactive;
};

void qcow2_overlap_init(struct qcow2_overlap *overlap);
int qcow2_overlap_open(struct qcow2_image *image, struct qcow2_err *err);
void qcow2_overlap_exit(struct qcow2_overlap *overlap);
int qcow2_overlap_snapshots(struct qcow2_overlap *overlap, u32 nr);
void qcow2_overlap_snapshot(struct qcow2_layer *layer,
			    const struct qcow2_snapshot *snapshot);
int qcow2_index_build(const struct qcow2_layer *layer, struct qcow2_table *table);
void qcow2_overlap_set(struct qcow2_image *image, struct qcow2_table *table,
		       u32 i, u64 raw);
void qcow2_overlap_grow(struct qcow2_image *image, struct qcow2_table *table);
void qcow2_overlap_moved(struct qcow2_image *image);
void qcow2_overlap_slice(struct qcow2_layer *layer, struct qcow2_slice *slice);
bool qcow2_overlaps(struct qcow2_image *image, u64 first, u64 nr);
bool qcow2_overlaps_table(struct qcow2_image *image, u64 cluster);

/* ---- epoch.c: which requests were in flight when a cluster was freed ---- */

struct qcow2_epoch {
	struct percpu_ref ref;
	struct qcow2_image *image;
};

/**
 * struct qcow2_epochs - two alternating generations of requests
 * @epoch: the generations
 * @cur: the one that new requests enter
 * @draining: the other one has not ended yet
 * @frees: whose refcounts are lowered when it has
 * @work: does that
 */
struct qcow2_epochs {
	struct qcow2_epoch epoch[2];
	int cur;
	bool draining;
	struct list_head frees;
	struct work_struct work;
};

int qcow2_epochs_init(struct qcow2_image *image);
void qcow2_epochs_exit(struct qcow2_image *image);
void qcow2_epoch_wait(struct qcow2_image *image);
struct qcow2_epoch *qcow2_epoch_enter(struct qcow2_image *image);
void qcow2_epoch_leave(struct qcow2_epoch *epoch);
bool qcow2_epoch_retire(struct qcow2_image *image, struct list_head *frees);

/* ---- commit.c ---- */

struct qcow2_commit_waiter {
	struct list_head node;
	void (*end)(struct qcow2_commit_waiter *waiter, int error);
};

/**
 * struct qcow2_commit - writes dirty metadata in order
 * @lock: protects the list
 * @waiters: flushes that the next commit completes
 * @work: runs one commit
 * @timer: runs @work when something has been dirty for a while
 * @refcounts: copies of refcount slices on their way to the file
 * @entries: copies of L2 slices and L1 blocks on their way to the file
 * @freed: runs freed by L2 changes since the last snapshot; under l2.lock
 * @l1_busy: blocks of L1 are being written
 * @all: refcounts must be written, too, though they may lag
 * @no_space: the last one could not be written for want of space
 * @stopped: nothing is written any more
 * @error: metadata can no longer be written; nothing is written any more
 */
struct qcow2_commit {
	spinlock_t lock; /* waiters */
	struct list_head waiters;
	struct work_struct work;
	struct delayed_work timer;
	mempool_t refcounts;
	mempool_t entries;
	struct list_head freed;
	bool l1_busy;
	bool all;
	bool no_space;
	bool stopped;
	int error;
};

int qcow2_commit_init(struct qcow2_image *image);
void qcow2_commit_stop(struct qcow2_image *image);
void qcow2_commit_exit(struct qcow2_image *image);
void qcow2_commit_queue(struct qcow2_image *image,
			struct qcow2_commit_waiter *waiter);
void qcow2_commit_soon(struct qcow2_image *image);
void qcow2_commit_now(struct qcow2_image *image);
int qcow2_commit_wait(struct qcow2_image *image);
int qcow2_commit_all(struct qcow2_image *image);

/* ---- compress.c ---- */

/**
 * struct qcow2_inflater - compressed clusters as what they contain
 * @lock: protects the rest
 * @clusters: &struct qcow2_inflated, the last used one first
 * @wait: for one that is being decompressed, or for fewer to be in use
 * @nr: how many there are
 * @nr_used: how many of them somebody reads, or is about to add
 */
struct qcow2_inflater {
	spinlock_t lock; /* everything */
	struct list_head clusters;
	wait_queue_head_t wait;
	unsigned int nr;
	unsigned int nr_used;
};

void qcow2_inflater_init(struct qcow2_inflater *inflater);
void qcow2_inflater_exit(struct qcow2_inflater *inflater);
int qcow2_decompress(const struct qcow2_extent *ext, u64 guest, size_t len,
		     struct iov_iter *to);

/* ---- bounce.c ---- */

void *qcow2_buf_alloc(size_t bytes, gfp_t gfp);
void qcow2_buf_free(void *buf);

/* Buffers of that many requests at a time are kept, for seconds. */
#define QCOW2_BOUNCES_SPARE	8

/**
 * struct qcow2_bounces - buffers of QCOW2_BOUNCE_BYTES for copy-on-write
 * @pool: where they come from
 * @spare: not in use
 */
struct qcow2_bounces {
	mempool_t pool;
	void *spare[QCOW2_BOUNCES_SPARE];
};

int qcow2_copies_init(mempool_t *copies);
int qcow2_bounces_init(struct qcow2_bounces *bounces);
void qcow2_bounces_trim(struct qcow2_bounces *bounces);
void qcow2_bounces_exit(struct qcow2_bounces *bounces);

/* ---- image.c ---- */

/**
 * struct qcow2_chain_file - a layer as userspace has handed it over
 * @file: the file that it is
 * @data: its external data file, or NULL
 * @format: &enum qcow2_layer_format
 * @named: @names is known
 * @names: hash of the names of other files that it had when it was first read
 */
struct qcow2_chain_file {
	struct file *file;
	struct file *data;
	u32 format;
	bool named;
	u32 names;
};

/**
 * struct qcow2_chain - the files that an image is made of
 * @nr: how many
 * @files: the active layer first; each holds a reference
 */
struct qcow2_chain {
	u32 nr;
	struct qcow2_chain_file files[] __counted_by(nr);
};

struct qcow2_stats {
	atomic64_t commits;
	atomic64_t flushes;
	atomic64_t allocated;
	atomic64_t freed;
	atomic64_t inflated;
};

/**
 * struct qcow2_image - an attached chain, from attach or thaw to freeze
 * @dev: the device it serves
 * @chain: its files
 * @writable: layer 0 may be written
 * @locked: how many layers' image locks are held
 * @l1_bytes: that the L1 tables of the layers opened so far have
 * @size: of the disk in bytes, whole logical blocks
 * @block_size: logical block size of the disk
 * @wq: for what may sleep on behalf of a request
 * @io_wq: for I/O that continues; what @wq waits for ends here
 * @commit_wq: for commits, so that they never wait for requests
 * @ios: &struct qcow2_io for parts of requests
 * @cows: for writes that change the map
 * @bounces: buffers for copy-on-write
 * @copies: buffers of QCOW2_BOUNCE_BYTES for what direct I/O cannot take from where
 *	it lies; who waits for one may have one of @bounces
 * @clusters: guest clusters being allocated
 * @tables: L2 tables being created or copied
 * @alloc: allocator of layer 0
 * @overlap: see &struct qcow2_overlap
 * @epochs: see &struct qcow2_epochs
 * @commit: see &struct qcow2_commit
 * @inflater: see &struct qcow2_inflater
 * @shrinker: of the caches
 * @extend_lock: held while the active file grows
 * @header_lock: held while the header changes
 * @incompatible: feature bits of the active layer's header, as they are now
 * @autoclear: the same
 * @begun: the header permits writing; see header.c
 * @header_unknown: a change of the feature bits has failed; under header_lock
 * @lazy: refcounts may lag behind, the dirty bit says so
 * @corrupt: the active layer contradicts itself
 * @tail: the file's length to leave behind is the larger of this and what
 *	has been allocated
 * @layers: nr of @chain
 */
struct qcow2_image {
	struct qcow2_dev *dev;
	struct qcow2_chain *chain;
	bool writable;
	u32 locked;
	u64 l1_bytes;
	u64 size;
	u32 block_size;
	struct workqueue_struct *wq;
	struct workqueue_struct *io_wq;
	struct workqueue_struct *commit_wq;
	mempool_t ios;
	mempool_t cows;
	struct qcow2_bounces bounces;
	mempool_t copies;
	struct qcow2_ranges clusters;
	struct qcow2_ranges tables;
	struct qcow2_alloc alloc;
	struct qcow2_overlap overlap;
	struct qcow2_epochs epochs;
	struct qcow2_commit commit;
	struct qcow2_inflater inflater;
	struct shrinker *shrinker;
	struct mutex extend_lock; /* growth of the active file */
	struct mutex header_lock; /* changes of the header */
	u64 incompatible;
	u64 autoclear;
	bool begun;
	bool header_unknown;
	bool lazy;
	bool corrupt;
	u64 tail;
	struct qcow2_layer layers[];
};

static inline struct qcow2_layer *qcow2_active(struct qcow2_image *image)
{
	return &image->layers[0];
}

/* Clusters that have been freed, but must not be used yet. */
static inline unsigned long qcow2_nr_coming(struct qcow2_image *image)
{
	return atomic_long_read(&image->alloc.nr_freed) +
	       READ_ONCE(image->alloc.nr_resting);
}

struct qcow2_chain *qcow2_chain_get(const struct qcow2_ctl_layer *layers,
				    u32 nr, struct qcow2_err *err);
void qcow2_chain_put(struct qcow2_chain *chain);
struct qcow2_image *qcow2_image_open(struct qcow2_dev *dev,
				     struct qcow2_chain *chain,
				     struct qcow2_err *err);
int qcow2_image_settle(struct qcow2_image *image);
void qcow2_image_close(struct qcow2_image *image);
void qcow2_image_fail(struct qcow2_image *image, int error);
void qcow2_image_corrupt(struct qcow2_layer *layer, const char *what,
			 u64 where);

/* ---- header.c: changes of the active layer's header ---- */

static inline bool qcow2_image_may_write(struct qcow2_image *image)
{
	/* Pairs with the release in qcow2_image_begin_write(). */
	return smp_load_acquire(&image->begun);
}

/* Can the map say of any range that it is zeroes? */
static inline bool qcow2_can_zero(struct qcow2_image *image)
{
	return qcow2_active(image)->header.version >= 3 || image->chain->nr == 1;
}

int qcow2_image_begin_write(struct qcow2_image *image);
int qcow2_image_end_write(struct qcow2_image *image);
int qcow2_header_reftable(struct qcow2_image *image, u64 host, u32 clusters);
void qcow2_header_mark_corrupt(struct qcow2_image *image);

/* ---- lock.c: QEMU-compatible image locks ---- */

int qcow2_file_lock(struct file *file, bool writable, struct qcow2_err *err);
void qcow2_file_unlock(struct file *file);

/* ---- cow.c: writes that allocate ---- */

struct qcow2_req;

int qcow2_write_allocating(struct qcow2_req *req, u64 guest,
			   const struct iov_iter *from, u64 *len);
bool qcow2_write_at_once(struct qcow2_req *req, u64 guest,
			 const struct iov_iter *from);
int qcow2_zero_mapped(struct qcow2_req *req, u64 guest, bool unmap, u64 *len);
size_t qcow2_cow_size(void);

/* ---- request.c ---- */

/**
 * struct qcow2_req - one block request, the pdu of a struct request
 * @image: that serves it
 * @epoch: entered when it was queued
 * @io: for the part that is under way without an allocation
 * @io_used: @io is not free
 * @fua: the request has ended when its data is durable
 * @commit_needed: which takes a commit
 * @pending: parts under way, one more while the request is being split
 * @error: the first one that a part met
 * @bio: being split
 * @pos: guest offset up to which the request is split
 * @waiter: parks the request until a range is unlocked
 * @commit: waits for a commit
 * @work: splits the request where sleeping is allowed
 */
struct qcow2_req {
	struct qcow2_image *image;
	struct qcow2_epoch *epoch;
	struct qcow2_io io;
	bool io_used;
	bool fua;
	bool commit_needed;
	atomic_t pending;
	int error;
	struct bio *bio;
	u64 pos;
	struct qcow2_waiter waiter;
	struct qcow2_commit_waiter commit;
	struct work_struct work;
};

/* ---- park.c: requests that are tried again ---- */

bool qcow2_error_is_space(int error);
bool qcow2_error_passes(int error);
blk_status_t qcow2_req_status(int error);
bool qcow2_req_park(struct qcow2_req *req, int error);
void qcow2_disk_unpark(struct qcow2_dev *dev);
void qcow2_disk_abandon(struct qcow2_dev *dev);

extern const struct blk_mq_ops qcow2_mq_ops;
void qcow2_req_get(struct qcow2_req *req);
void qcow2_req_put(struct qcow2_req *req, int error);
void qcow2_request_module_init(void);

/* ---- device.c, info.c, window.c and disk.c ---- */

#define QCOW2_REASON_MAX	256

/**
 * struct qcow2_mounts - file systems on a disk
 * @nr: how many
 * @nr_frozen: so many of them, from the first on
 * @files: one of each
 */
struct qcow2_mounts {
	u32 nr;
	u32 nr_frozen;
	struct file *files[] __counted_by(nr);
};

/**
 * struct qcow2_window - the window that is open, or was open last
 * @id: counts windows
 * @since: when it was opened
 * @expires: when the kernel is to end it, KTIME_MAX for never
 * @fs: file systems on the disk are frozen for it
 * @fails: at the end of its time I/O is to fail
 * @expired: it does, until a thaw
 * @mounts: file systems to freeze that the caller has found, or NULL
 * @expiry: the timer
 */
struct qcow2_window {
	u64 id;
	ktime_t since;
	ktime_t expires;
	bool fs;
	bool fails;
	bool expired;
	struct qcow2_mounts *mounts;
	struct delayed_work expiry;
};

/**
 * struct qcow2_dev - a /dev/qcow2N
 * @index: N
 * @ref: one for the table of devices, one for the disk, one for each user
 * @ctl_lock: serialises attach, detach, freeze, thaw
 * @state: &enum qcow2_state; 0 while it is being attached
 * @readonly: as asked for at attach
 * @deferred: detach when the last opener closes
 * @park: requests for which the host has no space wait until there is some
 * @nospace: there are some that wait; under @park_lock
 * @abandoned: none are to wait any more
 * @park_lock: orders parking against a detach, and the use of the disk against its
 *	end; taken without ctl_lock, which may be held by whoever waits for a request
 * @cache_bytes: bound of the metadata cache
 * @disk: the disk
 * @tag_set: its tags
 * @image: NULL in a window
 * @chain: the files; kept over a window
 * @frozen: file systems that the open window has frozen, by partition number
 * @window: see &struct qcow2_window; under @ctl_lock
 * @reason: in words why it has failed, or was not thawed
 * @reason_lock: for @reason
 * @wq: see &struct qcow2_image
 * @io_wq: see &struct qcow2_image
 * @commit_wq: see &struct qcow2_image
 * @stats: counters of slow events
 * @nr_direct: requests sent from queue_rq
 * @nr_worker: requests that took a worker
 * @detach_work: carries out a deferred detach
 * @free_work: frees the device
 * @fail_work: makes the disk read-only
 * @space_work: announces a change of @nospace
 */
struct qcow2_dev {
	int index;
	refcount_t ref;
	struct mutex ctl_lock; /* state */
	enum qcow2_state state;
	bool readonly;
	bool deferred;
	bool park;
	bool nospace;
	bool abandoned;
	spinlock_t park_lock; /* nospace, disk */
	u64 cache_bytes;
	struct gendisk *disk;
	struct blk_mq_tag_set tag_set;
	struct qcow2_image *image;
	struct qcow2_chain *chain;
	struct xarray frozen;
	struct qcow2_window window;
	char reason[QCOW2_REASON_MAX];
	spinlock_t reason_lock; /* reason */
	struct workqueue_struct *wq;
	struct workqueue_struct *io_wq;
	struct workqueue_struct *commit_wq;
	struct qcow2_stats stats;
	unsigned long __percpu *nr_direct;
	unsigned long __percpu *nr_worker;
	struct work_struct detach_work;
	struct work_struct free_work;
	struct work_struct fail_work;
	struct work_struct space_work;
};

/* Is it being detached, so that nothing is to wait any more? */
static inline bool qcow2_dev_is_leaving(const struct qcow2_dev *dev)
{
	return READ_ONCE(dev->state) == QCOW2_STATE_DETACHING ||
	       READ_ONCE(dev->abandoned);
}

/* device.c */
int qcow2_dev_attach(struct qcow2_chain *chain, u32 flags, s32 *index,
		     u64 cache_bytes, struct qcow2_err *err);
unsigned int qcow2_dev_lock(struct qcow2_dev *dev);
void qcow2_dev_unlock(struct qcow2_dev *dev, unsigned int noio);
void qcow2_dev_set_live(struct qcow2_dev *dev);
void qcow2_dev_set_image(struct qcow2_dev *dev, struct qcow2_image *image);
void qcow2_dev_swap_chain(struct qcow2_dev *dev, struct qcow2_chain **chain);
int qcow2_dev_adopt_chain(struct qcow2_dev *dev, struct qcow2_chain **chain,
			  struct qcow2_err *err);
int qcow2_dev_check_alone(struct qcow2_dev *dev, struct qcow2_err *err);
int qcow2_dev_settle(struct qcow2_dev *dev, struct qcow2_err *err);
void qcow2_dev_set_reason(struct qcow2_dev *dev, const char *reason);
void qcow2_dev_get_reason(struct qcow2_dev *dev, char *buf, size_t size);
struct gendisk *qcow2_dev_get_disk(struct qcow2_dev *dev);
void qcow2_dev_forget_disk(struct qcow2_dev *dev);
void qcow2_dev_event(struct qcow2_dev *dev, enum qcow2_state state);
void qcow2_dev_nospace(struct qcow2_dev *dev, bool nospace);
int qcow2_dev_detach(struct qcow2_dev *dev, u32 flags, struct qcow2_err *err);
void qcow2_dev_failed(struct qcow2_dev *dev);
int qcow2_dev_info(struct qcow2_dev *dev, struct qcow2_ctl_info *info,
		   char *buf, char **path, struct qcow2_err *err);
int qcow2_info_fill(struct qcow2_dev *dev, struct gendisk *disk,
		    struct qcow2_ctl_info *info, char *buf, char **path,
		    struct qcow2_err *err);
struct qcow2_dev *qcow2_dev_find(int index, bool or_next);
void qcow2_dev_put(struct qcow2_dev *dev);
bool qcow2_dev_queue(struct work_struct *work);
bool qcow2_dev_queue_delayed(struct delayed_work *work, unsigned long delay);
int qcow2_device_module_init(void);
void qcow2_device_module_exit(void);

/* window.c */
int qcow2_dev_freeze(struct qcow2_dev *dev, struct qcow2_ctl_freeze *how,
		     struct qcow2_mounts *mounts, struct qcow2_err *err);
int qcow2_dev_thaw(struct qcow2_dev *dev, struct qcow2_chain *chain, u32 flags,
		   u64 window, struct qcow2_err *err);
int qcow2_dev_resume(struct qcow2_dev *dev, struct qcow2_err *err);
void qcow2_window_init(struct qcow2_dev *dev);
void qcow2_window_disarm(struct qcow2_dev *dev);

/* disk.c */
int qcow2_disk_add(struct qcow2_dev *dev, struct qcow2_err *err);
void qcow2_disk_hold(struct qcow2_dev *dev);
void qcow2_disk_release(struct qcow2_dev *dev);
int qcow2_disk_claim(struct qcow2_dev *dev);
bool qcow2_disk_used_beyond(struct qcow2_dev *dev, u64 sectors);
bool qcow2_disk_fits(struct gendisk *disk, struct qcow2_image *image);
const char *qcow2_state_name(enum qcow2_state state);

/* fsfreeze.c */
int qcow2_disk_freeze_fs(struct qcow2_dev *dev, struct qcow2_err *err);
void qcow2_disk_thaw_fs(struct qcow2_dev *dev);
void qcow2_mounts_put(struct qcow2_mounts *mounts);

/* ---- control.c ---- */

void qcow2_control_event(char **env);
int qcow2_control_init(void);
void qcow2_control_exit(void);

#endif /* _QCOW2_H */
