// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the active layer's own metadata lies.
 *
 * A crafted image has entries or refcounts that let a data cluster, or one that
 * seems to be free, be the header or a table. Nothing of what is listed here may
 * be handed out, freed, punched out of the file or written as data:
 *
 *	- the header, L1, the refcount table, the snapshot table, the directory of
 *	  persistent bitmaps
 *	- L1 tables of snapshots
 *	- L2 tables that L1 names, and refcount blocks
 *
 * It is looked up when clusters are allocated and freed, and once for each entry
 * of an L2 slice that is read from the file. Only a slice that turns out to name
 * metadata is looked at again with each request: what changes an entry in memory
 * names clusters that the allocator has checked.
 *
 * A layer that is not written has none of this: reading destroys nothing.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include "qcow2.h"

static const char * const qcow2_fixed_names[] = {
	[QCOW2_FIXED_HEADER]	= "header",
	[QCOW2_FIXED_L1]	= "L1 table",
	[QCOW2_FIXED_REFTABLE]	= "refcount table",
	[QCOW2_FIXED_SNAPSHOTS]	= "snapshot table",
	[QCOW2_FIXED_BITMAPS]	= "bitmap directory",
	[QCOW2_FIXED_MOVED]	= "new refcount table",
};

static struct qcow2_span qcow2_span(const struct qcow2_layer *layer, u64 host,
				    u64 bytes)
{
	struct qcow2_span span = {};

	if (bytes) {
		span.first = host >> layer->cluster_bits;
		span.end = DIV_ROUND_UP_ULL(host + bytes, qcow2_cluster_size(layer));
	}
	return span;
}

static bool qcow2_spans_meet(const struct qcow2_span *span, u64 first, u64 end)
{
	return span->first < end && first < span->end;
}

/* Entries by what they name: a chain for each value of the hash. */
static u32 *qcow2_index_chain(const struct qcow2_index *index, u64 cluster)
{
	return &index->chains[cluster * index->factor >> (64 - index->bits)];
}

static u64 qcow2_named(const struct qcow2_layer *layer, __be64 raw)
{
	return (be64_to_cpu(raw) & QCOW2_ENTRY_OFFSET) >> layer->cluster_bits;
}

static void qcow2_index_link(const struct qcow2_layer *layer,
			     struct qcow2_table *table, u32 i)
{
	u64 cluster = qcow2_named(layer, table->entries[i]);
	u32 *chain;

	if (!cluster)
		return;
	chain = qcow2_index_chain(&table->index, cluster);
	table->index.next[i] = *chain;
	*chain = i + 1;
}

static void qcow2_index_unlink(const struct qcow2_layer *layer,
			       struct qcow2_table *table, u32 i)
{
	u64 cluster = qcow2_named(layer, table->entries[i]);
	u32 *link;

	if (!cluster)
		return;
	link = qcow2_index_chain(&table->index, cluster);
	while (*link && *link != i + 1)
		link = &table->index.next[*link - 1];
	if (*link)
		*link = table->index.next[i];
}

/* How many entries name @cluster; more than two are two. */
static unsigned int qcow2_index_count(const struct qcow2_layer *layer,
				      const struct qcow2_table *table, u64 cluster)
{
	unsigned int n = 0;
	u32 i;

	if (!table->index.chains)
		return 0;
	for (i = *qcow2_index_chain(&table->index, cluster); i && n < 2;
	     i = table->index.next[i - 1])
		n += qcow2_named(layer, table->entries[i - 1]) == cluster;
	return n;
}

/**
 * qcow2_index_build() - have a table's entries found by what they name
 * @layer: whose table it is
 * @table: complete; nobody changes it meanwhile
 *
 * Who crafts an image does not know the factor, and so cannot have all entries
 * in one chain.
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM; qcow2_table_free() frees it.
 */
int qcow2_index_build(const struct qcow2_layer *layer, struct qcow2_table *table)
{
	struct qcow2_index *index = &table->index;
	u32 i;

	index->bits = max_t(u32, order_base_2(table->nr), 1);
	index->factor = get_random_u64() | 1;
	index->next = kvcalloc(max(table->nr, 1U), sizeof(u32), GFP_KERNEL_ACCOUNT);
	index->chains = kvcalloc(BIT(index->bits), sizeof(u32), GFP_KERNEL_ACCOUNT);
	if (!index->next || !index->chains)
		return -ENOMEM;
	for (i = 0; i < table->nr; i++) {
		qcow2_index_link(layer, table, i);
		cond_resched();
	}
	return 0;
}

/**
 * qcow2_overlap_set() - change an entry of L1 or of the refcount table
 * @image: the image
 * @table: one of the two
 * @i: number of the entry
 * @raw: what it becomes
 *
 * Context: under the lock that the table's entries are changed under.
 */
void qcow2_overlap_set(struct qcow2_image *image, struct qcow2_table *table,
		       u32 i, u64 raw)
{
	struct qcow2_layer *layer = qcow2_active(image);
	unsigned long flags;

	spin_lock_irqsave(&image->overlap.lock, flags);
	qcow2_index_unlink(layer, table, i);
	WRITE_ONCE(table->entries[i], cpu_to_be64(raw));
	qcow2_index_link(layer, table, i);
	spin_unlock_irqrestore(&image->overlap.lock, flags);
}

/**
 * qcow2_overlap_grow() - a larger refcount table takes the place of the old one
 * @image: the image
 * @table: in: the new one, with its index; out: the old one
 *
 * Context: alloc->lock held.
 */
void qcow2_overlap_grow(struct qcow2_image *image, struct qcow2_table *table)
{
	struct qcow2_overlap *overlap = &image->overlap;
	struct qcow2_layer *layer = qcow2_active(image);
	unsigned long flags;

	lockdep_assert_held(&image->alloc.lock);
	spin_lock_irqsave(&overlap->lock, flags);
	swap(image->alloc.table, *table);
	overlap->fixed[QCOW2_FIXED_MOVED] =
		qcow2_span(layer, image->alloc.table.host,
			   (u64)image->alloc.table.nr * 8);
	spin_unlock_irqrestore(&overlap->lock, flags);
}

/**
 * qcow2_overlap_moved() - the header names the new refcount table now
 * @image: the image
 *
 * Context: any.
 */
void qcow2_overlap_moved(struct qcow2_image *image)
{
	struct qcow2_overlap *overlap = &image->overlap;
	unsigned long flags;

	spin_lock_irqsave(&overlap->lock, flags);
	overlap->fixed[QCOW2_FIXED_REFTABLE] = overlap->fixed[QCOW2_FIXED_MOVED];
	overlap->fixed[QCOW2_FIXED_MOVED] = (struct qcow2_span){};
	spin_unlock_irqrestore(&overlap->lock, flags);
}

/* Of disjoint spans in order, does one meet the clusters from @first to @end? */
static bool qcow2_meets_inactive(const struct qcow2_overlap *overlap, u64 first,
				 u64 end)
{
	u32 lo = 0, hi = overlap->nr_inactive;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (overlap->inactive[mid].end <= first)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < overlap->nr_inactive && overlap->inactive[lo].first < end;
}

/* Metadata that neither L1 nor the refcount table names. */
static bool qcow2_meets_fixed(const struct qcow2_overlap *overlap, u64 first,
			      u64 end)
{
	unsigned int i;

	for (i = 0; i < QCOW2_FIXED_NR; i++) {
		if (qcow2_spans_meet(&overlap->fixed[i], first, end))
			return true;
	}
	return qcow2_meets_inactive(overlap, first, end);
}

static bool qcow2_meets_any(struct qcow2_image *image, u64 first, u64 nr)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u64 i;

	lockdep_assert_held(&image->overlap.lock);
	if (qcow2_meets_fixed(&image->overlap, first, first + nr))
		return true;
	for (i = 0; i < nr; i++) {
		if (qcow2_index_count(layer, &layer->l1, first + i) ||
		    qcow2_index_count(layer, &image->alloc.table, first + i))
			return true;
	}
	return false;
}

/**
 * qcow2_overlaps() - do these clusters hold metadata?
 * @image: the image, writable
 * @first: first host cluster number
 * @nr: clusters
 *
 * Context: any.
 * Return: true if one of them does.
 */
bool qcow2_overlaps(struct qcow2_image *image, u64 first, u64 nr)
{
	unsigned long flags;
	bool meets;

	spin_lock_irqsave(&image->overlap.lock, flags);
	meets = qcow2_meets_any(image, first, nr);
	spin_unlock_irqrestore(&image->overlap.lock, flags);
	return meets;
}

/**
 * qcow2_overlaps_table() - does a table's cluster hold anything else?
 * @image: the image, writable
 * @cluster: host cluster number, named by an entry of L1 or the refcount table
 *
 * An L2 table or refcount block that two entries name would be in memory twice,
 * and each of the two would overwrite the changes of the other.
 *
 * Context: any.
 * Return: true if it is other metadata as well.
 */
bool qcow2_overlaps_table(struct qcow2_image *image, u64 cluster)
{
	struct qcow2_layer *layer = qcow2_active(image);
	unsigned long flags;
	bool meets;

	spin_lock_irqsave(&image->overlap.lock, flags);
	meets = qcow2_meets_fixed(&image->overlap, cluster, cluster + 1) ||
		qcow2_index_count(layer, &layer->l1, cluster) +
		qcow2_index_count(layer, &image->alloc.table, cluster) > 1;
	spin_unlock_irqrestore(&image->overlap.lock, flags);
	return meets;
}

static bool qcow2_entry_overlaps(struct qcow2_layer *layer, u64 raw, u64 bitmap)
{
	struct qcow2_entry e = qcow2_l2_decode(&layer->header, raw, bitmap);
	u64 first = e.host >> layer->cluster_bits, last = first;

	if (!e.host || e.kind == QCOW2_INVALID)
		return false;
	if (e.kind == QCOW2_COMPRESSED)
		last = (e.host + e.bytes - 1) >> layer->cluster_bits;
	return qcow2_meets_any(layer->image, first, last - first + 1);
}

/**
 * qcow2_overlap_slice() - look through the entries of an L2 slice
 * @layer: whose slice it is
 * @slice: just read from the file; nobody else has seen it
 *
 * Context: any.
 */
void qcow2_overlap_slice(struct qcow2_layer *layer, struct qcow2_slice *slice)
{
	struct qcow2_overlap *overlap = &layer->image->overlap;
	bool extended = qcow2_is_extended(&layer->header);
	u32 nr = 1U << (layer->l2.slice_bits - layer->entry_bits), i;
	const __be64 *entry = slice->data;
	unsigned long flags;
	bool meets = false;

	if (layer->index || !layer->image->writable ||
	    qcow2_is_external(&layer->header))
		return;
	spin_lock_irqsave(&overlap->lock, flags);
	for (i = 0; i < nr && !meets; i++, entry += 1 + extended) {
		/* Most of what is in sparse images. */
		if (!entry[0])
			continue;
		meets = qcow2_entry_overlaps(layer, be64_to_cpu(entry[0]),
					     extended ? be64_to_cpu(entry[1]) : 0);
	}
	spin_unlock_irqrestore(&overlap->lock, flags);
	if (meets)
		set_bit(QCOW2_SLICE_SUSPECT, &slice->flags);
}

/**
 * qcow2_overlap_init() - nothing is known of where metadata lies
 * @overlap: to be set up
 */
void qcow2_overlap_init(struct qcow2_overlap *overlap)
{
	spin_lock_init(&overlap->lock);
}

/**
 * qcow2_overlap_snapshots() - expect so many snapshots of the active layer
 * @overlap: it
 * @nr: how many
 *
 * Return: 0 or -ENOMEM.
 */
int qcow2_overlap_snapshots(struct qcow2_overlap *overlap, u32 nr)
{
	overlap->inactive = kvcalloc(max(nr, 1U), sizeof(*overlap->inactive),
				     GFP_KERNEL_ACCOUNT);
	return overlap->inactive ? 0 : -ENOMEM;
}

/**
 * qcow2_overlap_snapshot() - the L1 table of a snapshot
 * @layer: the active one
 * @snapshot: one of those that were expected
 */
void qcow2_overlap_snapshot(struct qcow2_layer *layer,
			    const struct qcow2_snapshot *snapshot)
{
	struct qcow2_overlap *overlap = &layer->image->overlap;

	if (snapshot->l1_entries)
		overlap->inactive[overlap->nr_inactive++] =
			qcow2_span(layer, snapshot->l1_offset,
				   (u64)snapshot->l1_entries * 8);
}

static int qcow2_span_cmp(const void *a, const void *b)
{
	const struct qcow2_span *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* In order, and disjoint: that two snapshots share a table destroys nothing. */
static void qcow2_sort_inactive(struct qcow2_overlap *overlap)
{
	struct qcow2_span *spans = overlap->inactive;
	u32 i, n = 0;

	if (!overlap->nr_inactive)
		return;
	sort(spans, overlap->nr_inactive, sizeof(*spans), qcow2_span_cmp, NULL);
	for (i = 1; i < overlap->nr_inactive; i++) {
		if (spans[i].first < spans[n].end)
			spans[n].end = max(spans[n].end, spans[i].end);
		else
			spans[++n] = spans[i];
	}
	overlap->nr_inactive = n + 1;
}

static int qcow2_check_fixed(const struct qcow2_overlap *overlap,
			     struct qcow2_err *err)
{
	const struct qcow2_span *fixed = overlap->fixed;
	unsigned int i, j;

	for (i = 0; i < QCOW2_FIXED_NR; i++) {
		for (j = 0; j < i; j++) {
			if (qcow2_spans_meet(&fixed[j], fixed[i].first, fixed[i].end))
				return qcow2_fail(err, -EINVAL, "%s overlaps the %s",
						  qcow2_fixed_names[i],
						  qcow2_fixed_names[j]);
		}
		if (fixed[i].end &&
		    qcow2_meets_inactive(overlap, fixed[i].first, fixed[i].end))
			return qcow2_fail(err, -EINVAL,
					  "%s overlaps the L1 table of a snapshot",
					  qcow2_fixed_names[i]);
	}
	return 0;
}

/* The rest of it would read as zeroes, and be there after the first write. */
static int qcow2_check_cut(struct qcow2_image *image, struct qcow2_err *err)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u64 last = layer->meta.size >> layer->cluster_bits;

	if (qcow2_in_cluster(layer, layer->meta.size) &&
	    (qcow2_index_count(layer, &layer->l1, last) ||
	     qcow2_index_count(layer, &image->alloc.table, last)))
		return qcow2_fail(err, -EINVAL,
				  "a table is cut short by the end of the file (truncated image?)");
	return 0;
}

/**
 * qcow2_overlap_open() - find out where the active layer's metadata lies
 * @image: writable; its tables are in memory
 * @err: receives the reason in words
 *
 * Context: may sleep.
 * Return: 0, -EINVAL if two things lie in one place, or -ENOMEM.
 */
int qcow2_overlap_open(struct qcow2_image *image, struct qcow2_err *err)
{
	struct qcow2_overlap *overlap = &image->overlap;
	struct qcow2_layer *layer = qcow2_active(image);
	const struct qcow2_header *h = &layer->header;
	struct qcow2_span *fixed = overlap->fixed;
	int ret;

	fixed[QCOW2_FIXED_HEADER] = qcow2_span(layer, 0, 1);
	fixed[QCOW2_FIXED_L1] = qcow2_span(layer, h->l1_offset,
					   (u64)h->l1_entries * 8);
	fixed[QCOW2_FIXED_REFTABLE] =
		qcow2_span(layer, h->reftable_offset,
			   (u64)h->reftable_clusters << layer->cluster_bits);
	fixed[QCOW2_FIXED_SNAPSHOTS] = qcow2_span(layer, h->snapshots_offset,
						  layer->snapshots_bytes);
	if (layer->bitmaps.nr)
		fixed[QCOW2_FIXED_BITMAPS] = qcow2_span(layer, layer->bitmaps.offset,
							layer->bitmaps.bytes);
	qcow2_sort_inactive(overlap);
	if (qcow2_index_build(layer, &layer->l1) ||
	    qcow2_index_build(layer, &image->alloc.table))
		return qcow2_fail(err, -ENOMEM, "not enough memory");
	ret = qcow2_check_fixed(overlap, err);
	return ret ? ret : qcow2_check_cut(image, err);
}

/**
 * qcow2_overlap_exit() - forget it
 * @overlap: no longer used by anybody
 */
void qcow2_overlap_exit(struct qcow2_overlap *overlap)
{
	kvfree(overlap->inactive);
}
