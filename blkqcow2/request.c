// SPDX-License-Identifier: GPL-2.0-only
/*
 * One block request: split into extents, submit, gather, complete.
 *
 * What a single look into tables in memory can answer is sent to the file in
 * queue_rq, in the submitter's context. Everything else is split by a worker.
 */
#include <linux/blk-mq.h>
#include <linux/bvec.h>
#include <linux/sched/task_stack.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "qcow2.h"

/*
 * The file system below and the drivers below that run on the submitter's
 * stack; with less than this left they get a worker's.
 */
#define QCOW2_STACK_RESERVE	(THREAD_SIZE / 2)

/* Zeroes are written in pieces of this many pages. */
#define QCOW2_ZERO_PAGES	64

/* Clusters that have been freed but may not be used again. */
#define QCOW2_MAX_RESTING	SZ_1M

static struct bio_vec qcow2_zero_vecs[QCOW2_ZERO_PAGES];

static bool qcow2_req_is_write(struct qcow2_req *req)
{
	return op_is_write(req_op(blk_mq_rq_from_pdu(req)));
}

static void qcow2_req_complete(struct qcow2_req *req, int error)
{
	if (req->epoch)
		qcow2_epoch_leave(req->epoch);
	if (unlikely(error) && qcow2_req_park(req, error))
		return;
	blk_mq_end_request(blk_mq_rq_from_pdu(req), qcow2_req_status(error));
}

static void qcow2_req_committed(struct qcow2_commit_waiter *waiter, int error)
{
	qcow2_req_complete(container_of(waiter, struct qcow2_req, commit), error);
}

/**
 * qcow2_req_get() - another part of a request is under way
 * @req: the request
 */
void qcow2_req_get(struct qcow2_req *req)
{
	atomic_inc(&req->pending);
}

/**
 * qcow2_req_put() - a part of a request has ended
 * @req: the request; completed when it was the last part
 * @error: 0 or a negative errno
 *
 * Context: any.
 */
void qcow2_req_put(struct qcow2_req *req, int error)
{
	if (error)
		cmpxchg(&req->error, 0, error);
	if (!atomic_dec_and_test(&req->pending))
		return;
	if (req->commit_needed && !req->error)
		qcow2_commit_queue(req->image, &req->commit);
	else
		qcow2_req_complete(req, req->error);
}

static void qcow2_req_io_end(struct qcow2_io *io, int error)
{
	struct qcow2_req *req = io->private;

	if (io != &req->io)
		mempool_free(io, &req->image->ios);
	qcow2_req_put(req, error);
}

/* An iterator over @len bytes of @bio from @skip on. */
static void qcow2_bio_iter(struct bio *bio, int dir, u64 skip, u64 len,
			   struct iov_iter *iter)
{
	const struct bio_vec *bv = __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter);
	u64 left = bio->bi_iter.bi_offset + (u64)bio->bi_iter.bi_size;
	unsigned int n = 0;

	for (; left > bv[n].bv_len; n++)
		left -= bv[n].bv_len;
	iov_iter_bvec(iter, dir, bv, n + 1, bio->bi_iter.bi_size);
	iter->iov_offset = bio->bi_iter.bi_offset;
	if (skip)
		iov_iter_advance(iter, skip);
	iov_iter_truncate(iter, len);
}

/* @io->start is the data, and its end puts the request. */
static void qcow2_req_submit(struct qcow2_req *req, struct qcow2_io *io,
			     const struct qcow2_extent *ext, bool nowait)
{
	bool dsync = req->fua && !req->commit_needed;

	io->end = qcow2_req_io_end;
	io->private = req;
	qcow2_io_prepare(io, ext->layer->data, ext->host,
			 req_get_ioprio(blk_mq_rq_from_pdu(req)), dsync);
	qcow2_io_submit(io, nowait);
}

/* The first part needs no memory, and the others get it when parts end. */
static void qcow2_req_part(struct qcow2_req *req, const struct qcow2_extent *ext,
			   const struct iov_iter *iter)
{
	struct qcow2_io *io = &req->io;

	if (req->io_used)
		io = mempool_alloc(&req->image->ios, GFP_NOIO);
	req->io_used = true;
	io->start = *iter;
	qcow2_req_get(req);
	qcow2_req_submit(req, io, ext, false);
}

/* Read @len bytes at @req->pos, or as many as one extent has. */
static int qcow2_req_read(struct qcow2_req *req, u64 skip, u64 *len)
{
	struct qcow2_extent ext;
	struct iov_iter iter;
	int ret;

	ret = qcow2_map(req->image, 0, req->pos, *len, false, &ext);
	if (ret)
		return ret;
	*len = ext.len;
	qcow2_bio_iter(req->bio, ITER_DEST, skip, ext.len, &iter);
	switch (ext.kind) {
	case QCOW2_DATA:
		qcow2_req_part(req, &ext, &iter);
		return 0;
	case QCOW2_COMPRESSED:
		return qcow2_decompress(&ext, req->pos, ext.len, &iter);
	default:
		iov_iter_zero(ext.len, &iter);
		return 0;
	}
}

/* Write @iter at @req->pos, or as much as one extent takes. */
static int qcow2_req_write_iter(struct qcow2_req *req, struct iov_iter *iter,
				u64 *len)
{
	struct qcow2_extent ext;
	int ret;

	do {
		ret = qcow2_map_active(req->image, req->pos, *len, false, &ext);
		if (ret)
			return ret;
		*len = ext.len;
		if (ext.kind == QCOW2_DATA && ext.copied) {
			iov_iter_truncate(iter, ext.len);
			qcow2_req_part(req, &ext, iter);
			return 0;
		}
		ret = qcow2_write_allocating(req, req->pos, iter, len);
	} while (ret == -EAGAIN);
	return ret;
}

static int qcow2_req_write(struct qcow2_req *req, u64 skip, u64 *len)
{
	struct iov_iter iter;

	qcow2_bio_iter(req->bio, ITER_SOURCE, skip, *len, &iter);
	return qcow2_req_write_iter(req, &iter, len);
}

/* Zeroes as data, up to where the map can take over. */
static int qcow2_req_write_zeroes(struct qcow2_req *req, u64 *len)
{
	u64 unit = BIT_ULL(qcow2_sub_bits(qcow2_active(req->image)));
	u64 left = unit - (req->pos & (unit - 1));
	struct iov_iter iter;

	*len = min3(*len, left, (u64)QCOW2_ZERO_PAGES << PAGE_SHIFT);
	iov_iter_bvec(&iter, ITER_SOURCE, qcow2_zero_vecs, QCOW2_ZERO_PAGES, *len);
	return qcow2_req_write_iter(req, &iter, len);
}

/* Zero in the map what an entry can tell, what is left at the ends as data. */
static int qcow2_req_zero(struct qcow2_req *req, u64 skip, u64 *len)
{
	struct qcow2_layer *layer = qcow2_active(req->image);
	u64 unit = BIT_ULL(qcow2_sub_bits(layer));
	u64 whole = round_down(*len, unit);
	bool unmap = !(blk_mq_rq_from_pdu(req)->cmd_flags & REQ_NOUNMAP);
	struct qcow2_extent ext;
	int ret;

	ret = qcow2_map(req->image, 0, req->pos, *len, false, &ext);
	if (ret)
		return ret;
	if (ext.kind != QCOW2_DATA && ext.kind != QCOW2_COMPRESSED) {
		*len = ext.len;
		return 0;
	}
	if (!(req->pos & (unit - 1)) && whole && qcow2_can_zero(req->image)) {
		ret = qcow2_zero_mapped(req, req->pos, unmap, &whole);
		if (ret != -EOPNOTSUPP) {
			*len = whole;
			return ret;
		}
	}
	return qcow2_req_write_zeroes(req, len);
}

/*
 * Free whole clusters, leave the rest alone. The last one of the layer is whole
 * if what the layer has of it is.
 */
static int qcow2_req_discard(struct qcow2_req *req, u64 skip, u64 *len)
{
	struct qcow2_layer *layer = qcow2_active(req->image);
	u64 size = qcow2_cluster_size(layer);
	u64 in_cluster = qcow2_in_cluster(layer, req->pos);
	u64 whole = req->pos + *len == layer->size ? round_up(*len, size) :
						     round_down(*len, size);
	struct qcow2_extent ext;
	u64 known;
	int ret;

	if (in_cluster) {
		*len = min(*len, size - in_cluster);
		return 0;
	}
	if (!whole || !qcow2_can_zero(req->image))
		return 0;
	ret = qcow2_map_active(req->image, req->pos, whole, false, &ext);
	if (ret)
		return ret;
	known = round_down(ext.len, size);
	if (known && !ext.host && !ext.copied &&
	    (ext.kind == QCOW2_ZERO_PLAIN ||
	     (ext.kind == QCOW2_UNALLOCATED && req->image->chain->nr == 1))) {
		*len = min(*len, known);
		return 0;
	}
	ret = qcow2_zero_mapped(req, req->pos, true, &whole);
	*len = min(*len, whole);
	return ret;
}

static int qcow2_req_step(struct qcow2_req *req, u64 skip, u64 *len)
{
	switch (req_op(blk_mq_rq_from_pdu(req))) {
	case REQ_OP_READ:
		return qcow2_req_read(req, skip, len);
	case REQ_OP_WRITE:
		return qcow2_req_write(req, skip, len);
	case REQ_OP_DISCARD:
		return qcow2_req_discard(req, skip, len);
	default:
		return qcow2_req_zero(req, skip, len);
	}
}

/* Go on from @req->pos to the end of @req->bio. */
static int qcow2_req_split_bio(struct qcow2_req *req)
{
	u64 start = req->bio->bi_iter.bi_sector << SECTOR_SHIFT;
	u64 end = start + req->bio->bi_iter.bi_size;
	int ret = 0;

	while (req->pos < end && !ret) {
		u64 len = end - req->pos;

		ret = qcow2_req_step(req, req->pos - start, &len);
		if (!ret)
			req->pos += len;
	}
	return ret;
}

static void qcow2_req_work(struct work_struct *work)
{
	struct qcow2_req *req = container_of(work, struct qcow2_req, work);
	unsigned int flags = qcow2_work_begin();
	int ret = 0;

	if (qcow2_req_is_write(req))
		ret = qcow2_image_begin_write(req->image);
	while (req->bio && !ret) {
		ret = qcow2_req_split_bio(req);
		if (!ret)
			req->bio = req->bio->bi_next;
	}
	/* Parked: qcow2_req_wake() queues the work again. */
	if (ret != -EINPROGRESS)
		qcow2_req_put(req, ret);
	qcow2_work_end(flags);
}

static void qcow2_req_wake(struct qcow2_waiter *waiter)
{
	struct qcow2_req *req = container_of(waiter, struct qcow2_req, waiter);

	queue_work(req->image->wq, &req->work);
}

/*
 * May the file system below be entered here and now? It takes locks of the
 * same classes that a file system above may hold, so only if the pages are a
 * user's own: then the submitter is doing direct I/O, and holds none of those
 * that are not merely tried.
 */
static bool qcow2_may_enter(struct bio *bio)
{
	unsigned long used = (unsigned long)task_stack_page(current) +
			     THREAD_SIZE - (unsigned long)&used;

	return bio_flagged(bio, BIO_PAGE_PINNED) &&
	       !(current->flags & PF_MEMALLOC) && !current->journal_info &&
	       used < THREAD_SIZE - QCOW2_STACK_RESERVE;
}

/*
 * As that, for writing. The file system would hold the submitter's limit for the
 * size of files against offsets in the image.
 */
static bool qcow2_may_enter_to_write(struct bio *bio)
{
	return rlimit(RLIMIT_FSIZE) == RLIM_INFINITY && qcow2_may_enter(bio);
}

/*
 * Is it worth a try to put a write into new clusters at once? Not if layer 0 has
 * something there, or if data of a layer below is to come along.
 */
static bool qcow2_may_place(struct qcow2_req *req, const struct qcow2_extent *ext)
{
	u64 unit = BIT_ULL(qcow2_sub_bits(qcow2_active(req->image)));

	if (ext->kind == QCOW2_ZERO_PLAIN)
		return true;
	return ext->kind == QCOW2_UNALLOCATED &&
	       (!((req->pos | ext->len) & (unit - 1)) ||
		qcow2_is_zero(req->image, 1, req->pos, ext->len, true));
}

/*
 * To where the data is, or where it may be put without waiting. True if it is on
 * its way, and puts the request at its end.
 */
static bool qcow2_req_direct_write(struct qcow2_req *req, u64 len)
{
	struct qcow2_extent ext;

	if (!qcow2_image_may_write(req->image) ||
	    !qcow2_may_enter_to_write(req->bio) ||
	    qcow2_map_active(req->image, req->pos, len, true, &ext) ||
	    ext.len < len)
		return false;
	qcow2_bio_iter(req->bio, ITER_SOURCE, 0, len, &req->io.start);
	if (ext.kind == QCOW2_DATA && ext.copied) {
		/* An entry that is not on disk yet takes a commit, too. */
		req->commit_needed = req->fua && !ext.durable;
		qcow2_req_submit(req, &req->io, &ext, true);
		return true;
	}
	if (!qcow2_may_place(req, &ext))
		return false;
	req->commit_needed = req->fua;
	return qcow2_write_at_once(req, req->pos, &req->io.start);
}

/* True if the data is on its way, or there is none. */
static bool qcow2_req_direct_read(struct qcow2_req *req, u64 len)
{
	struct qcow2_extent ext;

	if (qcow2_map(req->image, 0, req->pos, len, true, &ext) || ext.len < len)
		return false;
	if (qcow2_reads_zero(&ext)) {
		zero_fill_bio(req->bio);
		qcow2_req_put(req, 0);
		return true;
	}
	if (ext.kind != QCOW2_DATA || !qcow2_may_enter(req->bio))
		return false;
	qcow2_bio_iter(req->bio, ITER_DEST, 0, len, &req->io.start);
	qcow2_req_submit(req, &req->io, &ext, true);
	return true;
}

/* True if the request is on its way, or done. */
static bool qcow2_req_direct(struct qcow2_req *req, struct request *rq)
{
	if (rq->bio != rq->biotail)
		return false;
	switch (req_op(rq)) {
	case REQ_OP_READ:
		return qcow2_req_direct_read(req, blk_rq_bytes(rq));
	case REQ_OP_WRITE:
		return qcow2_req_direct_write(req, blk_rq_bytes(rq));
	default:
		return false;
	}
}

static void qcow2_req_init(struct qcow2_req *req, struct request *rq,
			   struct qcow2_image *image)
{
	req->image = image;
	req->epoch = NULL;
	req->io_used = false;
	req->fua = rq->cmd_flags & REQ_FUA;
	req->commit_needed = false;
	atomic_set(&req->pending, 1);
	req->error = 0;
	req->bio = rq->bio;
	req->pos = blk_rq_pos(rq) << SECTOR_SHIFT;
	req->commit.end = qcow2_req_committed;
}

/*
 * So much is on its way to be free that it had better arrive first. That is
 * not to be waited for inside a request: clusters rest until those end that
 * were there before.
 */
static bool qcow2_must_rest(struct qcow2_image *image)
{
	if (qcow2_nr_coming(image) < QCOW2_MAX_RESTING || READ_ONCE(image->commit.error))
		return false;
	qcow2_commit_now(image);
	return true;
}

/* A discard that must not free more now. It may be done, or not done at all. */
static blk_status_t qcow2_rest(struct qcow2_image *image, struct request *rq)
{
	/* That could take as long as the disk below is full. */
	if (!READ_ONCE(image->commit.no_space) && !qcow2_dev_is_leaving(image->dev))
		return BLK_STS_RESOURCE;
	blk_mq_start_request(rq);
	blk_mq_end_request(rq, BLK_STS_OK);
	return BLK_STS_OK;
}

static blk_status_t qcow2_queue_rq(struct blk_mq_hw_ctx *hctx,
				   const struct blk_mq_queue_data *bd)
{
	struct request *rq = bd->rq;
	struct qcow2_req *req = blk_mq_rq_to_pdu(rq);
	struct qcow2_dev *dev = hctx->queue->queuedata;
	struct qcow2_image *image = READ_ONCE(dev->image);

	if (unlikely(!image))
		return BLK_STS_IOERR;
	if (unlikely(req_op(rq) == REQ_OP_DISCARD && qcow2_must_rest(image)))
		return qcow2_rest(image, rq);
	blk_mq_start_request(rq);
	qcow2_req_init(req, rq, image);
	if (req_op(rq) == REQ_OP_FLUSH) {
		qcow2_commit_queue(image, &req->commit);
		return BLK_STS_OK;
	}
	/* It may have waited while the image became smaller. */
	if (unlikely(req->pos + blk_rq_bytes(rq) > image->size))
		return BLK_STS_IOERR;
	/* The block layer merely warns of writes to a read-only disk. */
	if (unlikely(qcow2_req_is_write(req) &&
		     (!image->writable || READ_ONCE(image->commit.error))))
		return BLK_STS_IOERR;
	req->epoch = qcow2_epoch_enter(image);
	if (qcow2_req_direct(req, rq)) {
		this_cpu_inc(*dev->nr_direct);
		return BLK_STS_OK;
	}
	this_cpu_inc(*dev->nr_worker);
	req->commit_needed = req->fua;
	req->waiter.wake = qcow2_req_wake;
	INIT_WORK(&req->work, qcow2_req_work);
	queue_work(image->wq, &req->work);
	return BLK_STS_OK;
}

const struct blk_mq_ops qcow2_mq_ops = {
	.queue_rq	= qcow2_queue_rq,
};

/**
 * qcow2_request_module_init() - have pages of zeroes to write
 */
void qcow2_request_module_init(void)
{
	unsigned int i;

	for (i = 0; i < QCOW2_ZERO_PAGES; i++)
		bvec_set_page(&qcow2_zero_vecs[i], ZERO_PAGE(0), PAGE_SIZE, 0);
}
