// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes that change the map: allocation, copy-on-write, zeroing.
 *
 * A request locks the guest clusters it is about to give a new place, so that
 * of two writes to one cluster the second finds it allocated. It allocates,
 * fills what the write does not cover, writes, and links the entries when the
 * data is in the file. Until then readers see the old state.
 */
#include <linux/sizes.h>
#include <linux/slab.h>
#include "qcow2.h"

/* Data segments that fit in a merged write without another allocation. */
#define QCOW2_COW_VECS		16

/**
 * struct qcow2_cow - a write under way that changes the map
 * @range: its guest clusters, locked
 * @req: on whose behalf
 * @slice: pinned, with the entries
 * @old: what the entries name now, to be freed; or NULL
 * @guest: guest offset of the first cluster
 * @nr: clusters
 * @host: host offset of the first cluster
 * @lo: the write makes valid what lies from there, in bytes from @guest,
 * @hi: up to there
 * @allocated: the clusters are given back if the write fails
 * @bounce: for filling; or NULL
 * @io: the data
 * @vecs: the data with the fill before and after it
 * @work: gives clusters back
 */
struct qcow2_cow {
	struct qcow2_range range;
	struct qcow2_req *req;
	struct qcow2_slice *slice;
	struct qcow2_free *old;
	u64 guest;
	u32 nr;
	u64 host;
	u64 lo;
	u64 hi;
	bool allocated;
	void *bounce;
	struct qcow2_io io;
	struct bio_vec vecs[QCOW2_COW_VECS + 2];
	struct work_struct work;
};

/* Gives everything back but the clusters. */
static void qcow2_cow_free(struct qcow2_cow *cow)
{
	struct qcow2_image *image = cow->req->image;

	if (cow->slice)
		qcow2_cache_unpin(cow->slice);
	if (cow->bounce)
		mempool_free(cow->bounce, &image->bounces.pool);
	kfree(cow->old);
	qcow2_range_unlock(&image->clusters, &cow->range);
	mempool_free(cow, &image->cows);
}

static void qcow2_cow_give_back(struct qcow2_cow *cow)
{
	struct qcow2_image *image = cow->req->image;

	if (!cow->allocated)
		return;
	/* A failure leaks them, which is allowed. */
	qcow2_refcount_lower(image, cow->host >> qcow2_active(image)->cluster_bits,
			     cow->nr, false);
	cow->allocated = false;
}

static void qcow2_cow_failed(struct work_struct *work)
{
	struct qcow2_cow *cow = container_of(work, struct qcow2_cow, work);
	unsigned int flags = qcow2_work_begin();
	struct qcow2_req *req = cow->req;
	int error = cow->io.ret;

	qcow2_cow_give_back(cow);
	qcow2_cow_free(cow);
	qcow2_req_put(req, error);
	qcow2_work_end(flags);
}

/* What @raw names follows from one cluster to the next. */
static void qcow2_cow_link(struct qcow2_cow *cow, u64 raw, enum qcow2_kind kind,
			   bool keep)
{
	struct qcow2_layer *layer = qcow2_active(cow->req->image);
	struct qcow2_link link = {
		.guest = cow->guest,
		.nr = cow->nr,
		.raw = raw,
		.step = raw & QCOW2_ENTRY_COPIED ? qcow2_cluster_size(layer) : 0,
		.lo = cow->lo,
		.hi = cow->hi,
		.kind = kind,
		.keep = keep,
		.old = cow->old,
	};

	qcow2_l2_link(cow->req->image, cow->slice, &link);
	cow->old = NULL;
}

static void qcow2_cow_end(struct qcow2_io *io, int error)
{
	struct qcow2_cow *cow = container_of(io, struct qcow2_cow, io);
	struct qcow2_req *req = cow->req;
	struct qcow2_image *image = req->image;

	if (error) {
		io->ret = error;
		INIT_WORK(&cow->work, qcow2_cow_failed);
		queue_work(image->io_wq, &cow->work);
		return;
	}
	qcow2_cow_link(cow, cow->host | QCOW2_ENTRY_COPIED, QCOW2_DATA, false);
	qcow2_cow_free(cow);
	qcow2_req_put(req, 0);
}

/* Read what the guest sees of the layers from @first on, and wait for it. */
static int qcow2_read_chain(struct qcow2_image *image, u32 first, u64 guest,
			    struct iov_iter *to)
{
	struct qcow2_extent ext;
	struct iov_iter part;
	int ret = 0;

	while (iov_iter_count(to) && !ret) {
		ret = qcow2_map(image, first, guest, iov_iter_count(to), false,
				&ext);
		if (ret)
			break;
		part = *to;
		iov_iter_truncate(&part, ext.len);
		if (ext.kind == QCOW2_DATA)
			ret = qcow2_io_sync(ext.layer->data, ext.host, &part);
		else if (ext.kind == QCOW2_COMPRESSED)
			ret = qcow2_decompress(&ext, guest, ext.len, &part);
		else
			iov_iter_zero(ext.len, &part);
		iov_iter_advance(to, ext.len);
		guest += ext.len;
	}
	return ret;
}

/* Read from @first on into @buf. */
static int qcow2_fill_read(struct qcow2_image *image, u32 first, u64 guest,
			   void *buf, size_t len)
{
	struct iov_iter iter;
	struct bio_vec bv;

	bvec_set_virt(&bv, buf, len);
	iov_iter_bvec(&iter, ITER_DEST, &bv, 1, len);
	return qcow2_read_chain(image, first, guest, &iter);
}

/**
 * struct qcow2_fill - where the old content of a cluster comes from
 * @first: the layer that has it
 * @zero: it is zeroes
 * @skip: and the new clusters are zeroes already
 */
struct qcow2_fill {
	u32 first;
	bool zero;
	bool skip;
};

/* Copy the old content of a part of the new clusters, chunk by chunk. */
static int qcow2_fill_part(struct qcow2_cow *cow, const struct qcow2_fill *fill,
			   u64 offset, u64 len)
{
	struct qcow2_image *image = cow->req->image;
	struct qcow2_layer *layer = qcow2_active(image);
	int ret = 0;

	if (!len)
		return 0;
	if (fill->zero)
		return fill->skip ? 0 :
		       qcow2_io_zero(layer->data, cow->host + offset, len);
	while (len && !ret) {
		size_t n = min_t(u64, len, QCOW2_BOUNCE_BYTES);

		ret = qcow2_fill_read(image, fill->first, cow->guest + offset,
				      cow->bounce, n);
		if (!ret)
			ret = qcow2_io_buf(layer->data, ITER_SOURCE,
					   cow->host + offset, cow->bounce, n);
		offset += n;
		len -= n;
	}
	return ret;
}

/*
 * One write of fill, data, fill: the segments of @from, with @head bytes before
 * them, between two parts of the bounce buffer, which is laid out as the @bytes
 * in all are. False if the segments are too many.
 */
static bool qcow2_merge(struct qcow2_cow *cow, const struct iov_iter *from,
			u64 head, u64 bytes, struct iov_iter *merged)
{
	size_t left = iov_iter_count(from), skip = from->iov_offset;
	u64 tail = bytes - head - left;
	const struct bio_vec *bv = from->bvec;
	unsigned int n = 0, segs;

	if (head)
		bvec_set_virt(&cow->vecs[n++], cow->bounce, head);
	for (segs = 0; left; segs++, bv++) {
		size_t len = min_t(size_t, bv->bv_len - skip, left);

		if (segs == QCOW2_COW_VECS)
			return false;
		bvec_set_page(&cow->vecs[n++], bv->bv_page, len,
			      bv->bv_offset + skip);
		left -= len;
		skip = 0;
	}
	if (tail)
		bvec_set_virt(&cow->vecs[n++],
			      cow->bounce + bytes - tail, tail);
	iov_iter_bvec(merged, ITER_SOURCE, cow->vecs, n, bytes);
	return true;
}

/* Fill what the data does not cover; @iter is what remains to be written. */
static int qcow2_fill_around(struct qcow2_cow *cow, struct qcow2_fill *fill,
			     u64 head, struct iov_iter *iter, u64 *pos)
{
	struct qcow2_image *image = cow->req->image;
	u64 bytes = cow->hi - cow->lo, from = cow->guest + cow->lo;
	u64 end = head + iov_iter_count(iter);
	struct iov_iter merged;
	int ret;

	*pos = cow->host + head;
	if (head == cow->lo && end == cow->hi)
		return 0;
	if (!fill->zero)
		fill->zero = qcow2_is_zero(image, fill->first, from, bytes,
					   false);
	if (!fill->zero) {
		cow->bounce = mempool_alloc(&image->bounces.pool, GFP_NOIO);
		if (bytes <= QCOW2_BOUNCE_BYTES &&
		    qcow2_merge(cow, iter, head - cow->lo, bytes, &merged)) {
			*iter = merged;
			*pos = cow->host + cow->lo;
			return qcow2_fill_read(image, fill->first, from,
					       cow->bounce, bytes);
		}
	}
	ret = qcow2_fill_part(cow, fill, cow->lo, head - cow->lo);
	if (!ret)
		ret = qcow2_fill_part(cow, fill, end, cow->hi - end);
	return ret;
}

/* What is to be freed when the entries of @ext have been replaced. */
static int qcow2_note_old(struct qcow2_cow *cow, const struct qcow2_extent *ext,
			  bool punch)
{
	u32 cluster_bits = ext->layer->cluster_bits;
	u64 first = ext->host >> cluster_bits;
	u64 nr = cow->nr;

	if (ext->kind == QCOW2_UNALLOCATED || ext->kind == QCOW2_ZERO_PLAIN)
		return 0;
	if (ext->kind == QCOW2_COMPRESSED)
		nr = ((ext->host + ext->bytes - 1) >> cluster_bits) - first + 1;
	if (qcow2_is_external(&ext->layer->header))
		return 0;
	cow->old = qcow2_free_alloc(first, nr);
	if (!cow->old)
		return -ENOMEM;
	cow->old->punch = punch;
	return 0;
}

/*
 * The clusters of @ext are not marked as ours alone. Limit @cow->nr to those
 * that agree about it with the first one.
 */
static int qcow2_look_refcounts(struct qcow2_cow *cow,
				const struct qcow2_extent *ext, bool *own)
{
	struct qcow2_image *image = cow->req->image;
	u64 first = ext->host >> ext->layer->cluster_bits;
	u32 i;

	for (i = 0; i < cow->nr; i++) {
		u64 refcount;
		int ret = qcow2_refcount_read(image, first + i, &refcount);

		if (ret)
			return ret;
		if (!refcount) {
			qcow2_image_corrupt(ext->layer,
					    "refcount of a used cluster is 0",
					    first + i);
			return -EIO;
		}
		if (i && refcount == 1 && !*own)
			break;
		if (i && refcount > 1 && *own)
			break;
		*own = refcount == 1;
	}
	cow->nr = i;
	return 0;
}

/* Clusters that are ours already, but not in use as data. */
static bool qcow2_cow_in_place(struct qcow2_cow *cow,
			       const struct qcow2_extent *ext)
{
	struct qcow2_layer *layer = ext->layer;
	u64 end = qcow2_layer_end(layer);

	cow->host = ext->host;
	if (ext->kind == QCOW2_DATA)
		return true;
	/* A cluster that the file never had is as good as none. */
	if (ext->kind != QCOW2_ZERO_ALLOC || ext->host >= end)
		return false;
	cow->nr = min_t(u64, cow->nr,
			DIV_ROUND_UP_ULL(end - ext->host,
					 qcow2_cluster_size(layer)));
	return true;
}

/* In an external data file each cluster has its place. */
static int qcow2_cow_external(struct qcow2_cow *cow)
{
	struct qcow2_image *image = cow->req->image;
	struct qcow2_layer *layer = qcow2_active(image);
	u64 end = cow->guest + ((u64)cow->nr << layer->cluster_bits);

	cow->host = cow->guest;
	return qcow2_data_extend(image, min(end, layer->size));
}

/* Decide where the clusters go, and where their old content comes from. */
static int qcow2_cow_place(struct qcow2_cow *cow, struct qcow2_extent *ext,
			   struct qcow2_fill *fill)
{
	struct qcow2_image *image = cow->req->image;
	struct qcow2_layer *layer = qcow2_active(image);
	bool extended = qcow2_is_extended(&layer->header);
	bool own = ext->copied;
	u64 first, nr;
	int ret;

	fill->first = ext->kind == QCOW2_UNALLOCATED && !extended ? 1 : 0;
	fill->zero = ext->kind == QCOW2_ZERO_PLAIN ||
		     ext->kind == QCOW2_ZERO_ALLOC;
	if (!own && (ext->kind == QCOW2_DATA || ext->kind == QCOW2_ZERO_ALLOC)) {
		ret = qcow2_look_refcounts(cow, ext, &own);
		if (ret)
			return ret;
	}
	if (own && ext->kind == QCOW2_DATA && !extended) {
		if (!ext->copied)
			qcow2_cow_link(cow, ext->host | QCOW2_ENTRY_COPIED,
				       QCOW2_DATA, false);
		return -EAGAIN;
	}
	if (qcow2_is_external(&layer->header))
		return qcow2_cow_external(cow);
	if (own && qcow2_cow_in_place(cow, ext))
		return 0;
	/* What has to come along is looked for cluster by cluster. */
	if (extended && ext->kind == QCOW2_DATA)
		cow->nr = 1;
	ret = qcow2_alloc_clusters(image, cow->nr, &first, &nr, &fill->skip);
	if (ret)
		return ret;
	cow->allocated = true;
	cow->nr = nr;
	cow->host = first << layer->cluster_bits;
	return qcow2_note_old(cow, ext, false);
}

/* Has the subcluster at @offset, in bytes from the first cluster, data? */
static bool qcow2_cow_has_data(struct qcow2_cow *cow, u64 offset)
{
	struct qcow2_image *image = cow->req->image;
	struct qcow2_layer *layer = qcow2_active(image);
	u64 guest = cow->guest + offset;

	return qcow2_sub_alloc(image, cow->slice, guest) &
	       BIT(qcow2_in_cluster(layer, guest) >> qcow2_sub_bits(layer));
}

/*
 * What the write of [@head, @end) is to make valid: of extended entries the
 * subclusters that it touches. Those at its ends need no filling if they have
 * data already; and from a cluster that is given up all data must come along.
 */
static void qcow2_cow_subclusters(struct qcow2_cow *cow,
				  const struct qcow2_extent *ext, u64 head,
				  u64 end)
{
	struct qcow2_layer *layer = ext->layer;
	u64 sub = BIT_ULL(qcow2_sub_bits(layer));
	u32 alloc;

	cow->lo = round_down(head, sub);
	cow->hi = round_up(end, sub);
	if (ext->kind != QCOW2_DATA)
		return;
	if (cow->allocated) {
		alloc = qcow2_sub_alloc(cow->req->image, cow->slice, cow->guest);
		if (alloc) {
			cow->lo = min(cow->lo, __ffs(alloc) * sub);
			cow->hi = max(cow->hi, fls(alloc) * sub);
		}
		return;
	}
	if (qcow2_cow_has_data(cow, head))
		cow->lo = head;
	if (qcow2_cow_has_data(cow, end - 1))
		cow->hi = end;
}

static void qcow2_cow_window(struct qcow2_cow *cow,
			     const struct qcow2_extent *ext, u64 head, u64 end)
{
	struct qcow2_layer *layer = ext->layer;

	cow->lo = 0;
	cow->hi = (u64)cow->nr << layer->cluster_bits;
	if (qcow2_is_extended(&layer->header) && ext->kind != QCOW2_COMPRESSED)
		qcow2_cow_subclusters(cow, ext, head, end);
	/* A raw data file is not to become longer than the disk. */
	if (qcow2_is_external(&layer->header))
		cow->hi = min(cow->hi, max(end, layer->size - cow->guest));
}

/*
 * Lock the clusters of a range, as many as @slice maps, and look again what
 * they are: -EINPROGRESS if somebody else has one of them. The pin is taken over.
 */
static int qcow2_cow_lock(struct qcow2_req *req, struct qcow2_slice *slice,
			  u64 guest, u64 len, bool nowait,
			  struct qcow2_extent *ext, struct qcow2_cow **out)
{
	struct qcow2_image *image = req->image;
	struct qcow2_layer *layer = qcow2_active(image);
	u64 slice_bytes = 1ULL << (layer->cluster_bits +
				   qcow2_l2_slice_bits(layer));
	u64 start = guest - qcow2_in_cluster(layer, guest);
	u64 end = min(guest + len, (start | (slice_bytes - 1)) + 1);
	u64 nr = (end - start + qcow2_cluster_size(layer) - 1) >>
		 layer->cluster_bits;
	struct qcow2_cow *cow;
	int ret;

	cow = mempool_alloc(&image->cows,
			    nowait ? GFP_NOWAIT | __GFP_NOWARN : GFP_NOIO);
	if (!cow) {
		qcow2_cache_unpin(slice);
		return -ENOMEM;
	}
	memset(cow, 0, offsetof(struct qcow2_cow, io));
	if (!qcow2_range_lock(&image->clusters, &cow->range,
			      start >> layer->cluster_bits, nr,
			      nowait ? NULL : &req->waiter)) {
		mempool_free(cow, &image->cows);
		qcow2_cache_unpin(slice);
		return -EINPROGRESS;
	}
	cow->req = req;
	cow->slice = slice;
	cow->guest = start;
	*out = cow;
	ret = qcow2_map_clusters(image, slice, start, nr, ext);
	cow->nr = ext->len >> layer->cluster_bits;
	if (ret)
		qcow2_cow_free(cow);
	return ret;
}

/* Has more become dirty than the caches hold? */
static bool qcow2_image_is_crowded(struct qcow2_image *image)
{
	return qcow2_cache_is_crowded(&qcow2_active(image)->l2) ||
	       qcow2_cache_is_crowded(&image->alloc.blocks);
}

static int qcow2_cow_begin(struct qcow2_req *req, u64 guest, u64 len,
			   struct qcow2_extent *ext, struct qcow2_cow **out)
{
	struct qcow2_image *image = req->image;
	struct qcow2_slice *slice;
	int ret;

	/* Who makes more dirty than that waits until it is written. */
	if (qcow2_image_is_crowded(image)) {
		ret = qcow2_commit_wait(image);
		if (ret)
			return ret;
	}
	ret = qcow2_l2_make_writable(image, guest, &req->waiter);
	if (ret)
		return ret;
	slice = qcow2_l2_pin(qcow2_active(image), guest);
	if (IS_ERR(slice))
		return PTR_ERR(slice);
	return qcow2_cow_lock(req, slice, guest, len, false, ext, out);
}

/* Puts the request at its end. */
static void qcow2_cow_submit(struct qcow2_cow *cow, u64 pos,
			     const struct iov_iter *iter, bool nowait)
{
	struct qcow2_req *req = cow->req;

	cow->io.start = *iter;
	cow->io.end = qcow2_cow_end;
	/* Others may wait for the clusters, whose priority is higher than its own. */
	qcow2_io_prepare(&cow->io, qcow2_active(req->image)->data, pos, 0, false);
	qcow2_io_submit(&cow->io, nowait);
}

/**
 * qcow2_write_allocating() - write to clusters that cannot be overwritten
 * @req: the request
 * @guest: guest offset in bytes
 * @from: the data; not consumed
 * @len: in: bytes of @from that the map shows in one state; out: how many of
 *	them are being written
 *
 * Context: a worker.
 * Return: 0 if a write is under way for which @req is held; -EAGAIN if the
 * map has changed, look again; -EINPROGRESS if @req->waiter is parked; or
 * another negative errno.
 */
int qcow2_write_allocating(struct qcow2_req *req, u64 guest,
			   const struct iov_iter *from, u64 *len)
{
	struct qcow2_layer *layer = qcow2_active(req->image);
	u64 head = qcow2_in_cluster(layer, guest), pos;
	struct iov_iter iter = *from;
	struct qcow2_fill fill = {};
	struct qcow2_extent ext;
	struct qcow2_cow *cow;
	int ret;

	ret = qcow2_cow_begin(req, guest, *len, &ext, &cow);
	if (ret)
		return ret;
	ret = qcow2_cow_place(cow, &ext, &fill);
	if (ret)
		goto err;
	*len = min(*len, ((u64)cow->nr << layer->cluster_bits) - head);
	iov_iter_truncate(&iter, *len);
	qcow2_cow_window(cow, &ext, head, head + *len);
	ret = qcow2_fill_around(cow, &fill, head, &iter, &pos);
	if (ret)
		goto err;
	qcow2_req_get(req);
	qcow2_cow_submit(cow, pos, &iter, false);
	return 0;

err:
	qcow2_cow_give_back(cow);
	qcow2_cow_free(cow);
	return ret;
}

/*
 * New places for clusters without one, of which the write leaves nothing but
 * zeroes. False if that takes more than a look.
 */
static bool qcow2_cow_place_at_once(struct qcow2_cow *cow,
				    const struct qcow2_extent *ext, u64 head,
				    u64 end)
{
	struct qcow2_image *image = cow->req->image;
	struct qcow2_layer *layer = ext->layer;
	u32 below = qcow2_is_extended(&layer->header) ? 0 : 1;
	bool whole;
	u64 first;

	if (end > (u64)cow->nr << layer->cluster_bits ||
	    (ext->kind != QCOW2_UNALLOCATED && ext->kind != QCOW2_ZERO_PLAIN))
		return false;
	qcow2_cow_window(cow, ext, head, end);
	whole = head == cow->lo && end == cow->hi;
	if (!whole && ext->kind == QCOW2_UNALLOCATED &&
	    !qcow2_is_zero(image, below, cow->guest + cow->lo, cow->hi - cow->lo,
			   true))
		return false;
	if (!qcow2_alloc_at_once(image, cow->nr, !whole, &first))
		return false;
	cow->allocated = true;
	cow->host = first << layer->cluster_bits;
	return true;
}

/**
 * qcow2_write_at_once() - write to new clusters, if that takes the write alone
 * @req: the request
 * @guest: guest offset in bytes
 * @from: the data
 *
 * Context: process; a submitter that must not wait.
 * Return: true if a write is under way that puts @req at its end; false if this is
 * for qcow2_write_allocating().
 */
bool qcow2_write_at_once(struct qcow2_req *req, u64 guest,
			 const struct iov_iter *from)
{
	struct qcow2_image *image = req->image;
	struct qcow2_layer *layer = qcow2_active(image);
	u64 head = qcow2_in_cluster(layer, guest), len = iov_iter_count(from);
	struct qcow2_slice *slice;
	struct qcow2_extent ext;
	struct qcow2_cow *cow;

	if (qcow2_is_external(&layer->header) || qcow2_image_is_crowded(image) ||
	    !qcow2_l2_is_writable(layer, guest))
		return false;
	slice = qcow2_l2_pin_cached(layer, guest);
	if (!slice || qcow2_cow_lock(req, slice, guest, len, true, &ext, &cow))
		return false;
	if (!qcow2_cow_place_at_once(cow, &ext, head, head + len)) {
		qcow2_cow_free(cow);
		return false;
	}
	qcow2_cow_submit(cow, cow->host + head, from, true);
	return true;
}

/*
 * Cut [@cow->lo, @cow->hi), which begins in the first cluster, down to whole
 * clusters or to a part of the first one. True if it is whole clusters.
 */
static bool qcow2_zero_cut(struct qcow2_cow *cow, struct qcow2_layer *layer)
{
	u64 size = qcow2_cluster_size(layer);

	if (!cow->lo && cow->hi >= size) {
		cow->nr = min_t(u64, cow->nr, cow->hi >> layer->cluster_bits);
		cow->hi = cow->nr * size;
		return true;
	}
	cow->nr = 1;
	cow->hi = min(cow->hi, size);
	return false;
}

/* Subclusters of one host cluster, which goes if nothing of it is left. */
static int qcow2_zero_part(struct qcow2_cow *cow, const struct qcow2_extent *ext,
			   bool unmap)
{
	struct qcow2_image *image = cow->req->image;
	u32 bits = qcow2_sub_bits(ext->layer);
	u64 alloc = qcow2_sub_alloc(image, cow->slice, cow->guest);

	if (ext->kind == QCOW2_COMPRESSED)
		return -EOPNOTSUPP;
	if (unmap && ext->kind == QCOW2_DATA &&
	    !(alloc & ~qcow2_sub_mask(cow->lo >> bits, cow->hi >> bits))) {
		int ret = qcow2_note_old(cow, ext, true);

		if (ret)
			return ret;
		qcow2_cow_link(cow, 0, QCOW2_ZERO_PLAIN, false);
	} else {
		qcow2_cow_link(cow, 0, QCOW2_ZERO_PLAIN, true);
	}
	return 0;
}

/* Whole clusters. Their host clusters stay theirs unless @unmap. */
static int qcow2_zero_whole(struct qcow2_cow *cow, const struct qcow2_extent *ext,
			    bool unmap)
{
	struct qcow2_image *image = cow->req->image;
	struct qcow2_header *h = &ext->layer->header;
	/* With nothing under it, no cluster is zeroes as well, in version 2 too. */
	bool bare = image->chain->nr == 1;
	u64 raw = bare || qcow2_is_extended(h) ? 0 : QCOW2_ENTRY_ZERO;
	int ret;

	if (ext->kind == QCOW2_ZERO_PLAIN || (ext->kind == QCOW2_UNALLOCATED && bare))
		return 0;
	if (!unmap && ext->copied && h->version >= 3) {
		if (ext->kind == QCOW2_DATA)
			qcow2_cow_link(cow, ext->host | QCOW2_ENTRY_COPIED |
				       (qcow2_is_extended(h) ? 0 : QCOW2_ENTRY_ZERO),
				       QCOW2_ZERO_PLAIN, false);
		return 0;
	}
	ret = qcow2_note_old(cow, ext, unmap);
	if (!ret)
		qcow2_cow_link(cow, raw, bare ? QCOW2_UNALLOCATED :
			       QCOW2_ZERO_PLAIN, false);
	return ret;
}

/**
 * qcow2_zero_mapped() - let a range read as zeroes by what the map says
 * @req: the request
 * @guest: guest offset in bytes, a multiple of what an L2 entry can tell apart
 * @unmap: host clusters may be freed
 * @len: in: bytes, a multiple of that, too; out: how many of them are done
 *
 * Context: a worker.
 * Return: 0; -EOPNOTSUPP if zeroes must be written instead; -EINPROGRESS if
 * @req->waiter is parked; or another negative errno.
 */
int qcow2_zero_mapped(struct qcow2_req *req, u64 guest, bool unmap, u64 *len)
{
	struct qcow2_image *image = req->image;
	struct qcow2_layer *layer = qcow2_active(image);
	struct qcow2_extent ext;
	struct qcow2_cow *cow;
	bool whole;
	int ret;

	ret = qcow2_cow_begin(req, guest, *len, &ext, &cow);
	if (ret)
		return ret;
	cow->lo = qcow2_in_cluster(layer, guest);
	cow->hi = cow->lo + *len;
	whole = qcow2_zero_cut(cow, layer);
	*len = cow->hi - cow->lo;
	if (qcow2_is_external(&layer->header))
		ret = qcow2_data_zero(image, guest, *len, unmap);
	if (!ret)
		ret = whole ? qcow2_zero_whole(cow, &ext, unmap) :
			      qcow2_zero_part(cow, &ext, unmap);
	qcow2_cow_free(cow);
	return ret;
}

/**
 * qcow2_cow_size() - bytes that a write which changes the map needs
 */
size_t qcow2_cow_size(void)
{
	return sizeof(struct qcow2_cow);
}
