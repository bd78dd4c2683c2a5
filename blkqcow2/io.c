// SPDX-License-Identifier: GPL-2.0-only
/*
 * File I/O of a layer.
 *
 * An asynchronous I/O is first tried with IOCB_NOWAIT in the context of the
 * task that submitted the block request. What the file system refuses to do
 * without blocking, and what a short transfer leaves over, continues in a
 * worker.
 */
#include <linux/bvec.h>
#include <linux/ioprio.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "qcow2.h"

/*
 * What a task was doing when its request came to us. The submitter may be
 * inside submit_bio(), with a plug, or inside a journal handle of the file
 * system on the disk. The file system below must see none of it: bios would
 * be queued up behind the very function that waits for them, and a handle
 * would be taken for one of its own.
 */
struct qcow2_nested {
	struct bio_list *bio_list;
	struct blk_plug *plug;
	void *journal_info;
	unsigned int noio;
};

static void qcow2_nested_begin(struct qcow2_nested *nested)
{
	/* A time cached in the plug must not outlive the plug's being there. */
	blk_plug_invalidate_ts();
	nested->bio_list = current->bio_list;
	nested->plug = current->plug;
	nested->journal_info = current->journal_info;
	nested->noio = memalloc_noio_save();
	current->bio_list = NULL;
	current->plug = NULL;
	current->journal_info = NULL;
}

static void qcow2_nested_end(struct qcow2_nested *nested)
{
	memalloc_noio_restore(nested->noio);
	current->bio_list = nested->bio_list;
	current->plug = nested->plug;
	current->journal_info = nested->journal_info;
}

static bool qcow2_io_is_write(const struct qcow2_io *io)
{
	return iov_iter_rw(&io->start) == WRITE;
}

/* Writes to a regular file hold off the freezing of its file system. */
static bool qcow2_io_guarded(const struct qcow2_io *io)
{
	return qcow2_io_is_write(io) && io->file->regular;
}

/*
 * Did a read that gave nothing end at the end of the file? What is missing is
 * zeroes then; but not if the file had more when it was opened. @size is what
 * the file had before the read: it may have grown since.
 */
static bool qcow2_at_end(struct qcow2_file *file, u64 pos, u64 size)
{
	u64 now = i_size_read(file->file->f_mapping->host);

	return pos >= size && now >= READ_ONCE(file->size);
}

/**
 * qcow2_file_check_uncut() - has somebody cut a file that is written here?
 * @file: of the active layer
 *
 * What is gone with its end is lost; but a write behind that would let the
 * rest of it come back as zeroes, and a commit make an image of it.
 *
 * Context: any.
 * Return: 0, or -EIO: then the image has failed.
 */
int qcow2_file_check_uncut(struct qcow2_file *file)
{
	/* Pairs with the release when the file has been extended. */
	u64 size = smp_load_acquire(&file->size);

	if (likely(i_size_read(file->file->f_mapping->host) >= size))
		return 0;
	pr_err_ratelimited("qcow2%d: a file of the image has lost its end: somebody else has cut it\n",
			   file->image->dev->index);
	qcow2_image_fail(file->image, -EIO);
	return -EIO;
}

static void qcow2_io_zero_rest(struct qcow2_io *io)
{
	struct iov_iter rest = io->start;

	iov_iter_advance(&rest, io->done);
	iov_iter_zero(iov_iter_count(&rest), &rest);
}

static void qcow2_io_continue(struct work_struct *work);

/* Only here, since most never come here. */
static void qcow2_io_defer(struct qcow2_io *io)
{
	INIT_WORK(&io->work, qcow2_io_continue);
	queue_work(io->file->image->io_wq, &io->work);
}

static void qcow2_io_finish(struct qcow2_io *io)
{
	ssize_t ret = io->ret;

	/* For whoever submits there may be no space or memory where there is for us. */
	if ((ret == -EAGAIN || ret == -EOPNOTSUPP || qcow2_error_passes(ret)) &&
	    io->iocb.ki_flags & IOCB_NOWAIT) {
		qcow2_io_defer(io);
		return;
	}
	if (ret < 0) {
		io->end(io, ret);
		return;
	}
	io->done += ret;
	if (io->done >= io->len)
		io->end(io, 0);
	else
		qcow2_io_defer(io);
}

static void qcow2_io_put(struct qcow2_io *io)
{
	if (atomic_dec_and_test(&io->ref))
		qcow2_io_finish(io);
}

static void qcow2_io_complete(struct kiocb *iocb, long ret)
{
	struct qcow2_io *io = container_of(iocb, struct qcow2_io, iocb);

	if (qcow2_io_guarded(io))
		kiocb_end_write(iocb);
	io->ret = ret;
	qcow2_io_put(io);
}

/* A frozen file system below must not make a submitter wait. */
static bool qcow2_io_start_write(struct qcow2_io *io, bool nowait)
{
	struct super_block *sb = file_inode(io->file->file)->i_sb;

	if (!qcow2_io_guarded(io))
		return true;
	if (!nowait) {
		kiocb_start_write(&io->iocb);
		return true;
	}
	if (!sb_start_write_trylock(sb))
		return false;
	/* As kiocb_start_write(): released by whoever completes the I/O. */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return true;
}

static ssize_t qcow2_rw(struct kiocb *iocb, struct iov_iter *iter)
{
	const struct file_operations *fops = iocb->ki_filp->f_op;

	return iov_iter_rw(iter) == WRITE ? fops->write_iter(iocb, iter) :
					    fops->read_iter(iocb, iter);
}

/*
 * A piece of what its memory does not allow to be direct, through memory of ours. Not
 * through the page cache, that would have to be kept coherent with the direct I/O to
 * the same file.
 */
static ssize_t qcow2_rw_copied(struct qcow2_file *file, const struct kiocb *wanted,
			       struct iov_iter *iter)
{
	size_t len = min_t(size_t, iov_iter_count(iter), QCOW2_BOUNCE_BYTES);
	mempool_t *pool = &file->image->copies;
	void *buf = mempool_alloc(pool, GFP_NOIO);
	bool write = iov_iter_rw(iter) == WRITE;
	struct kiocb iocb = *wanted;
	struct iov_iter piece;
	struct bio_vec bv;
	ssize_t ret = -EFAULT;

	iocb.ki_complete = NULL;
	bvec_set_virt(&bv, buf, len);
	iov_iter_bvec(&piece, iov_iter_rw(iter), &bv, 1, len);
	if (!write || copy_from_iter_full(buf, len, iter))
		ret = qcow2_rw(&iocb, &piece);
	if (!write && ret > 0 && copy_to_iter(buf, ret, iter) != ret)
		ret = -EFAULT;
	mempool_free(buf, pool);
	return ret;
}

static ssize_t qcow2_file_rw(struct qcow2_file *file, struct kiocb *iocb,
			     struct iov_iter *iter, bool copied)
{
	return copied ? qcow2_rw_copied(file, iocb, iter) : qcow2_rw(iocb, iter);
}

/*
 * The caller puts @io: the file system may look at the iocb and the iterator until
 * it returns, which can be after the completion. And who is told of the end need
 * not know that the submitter is busy.
 */
static void qcow2_io_attempt(struct qcow2_io *io, bool nowait)
{
	struct file *file = io->file->file;
	struct kiocb *iocb = &io->iocb;
	ssize_t ret;

	io->file_size = i_size_read(file->f_mapping->host);
	io->iter = io->start;
	if (io->done)
		iov_iter_advance(&io->iter, io->done);
	iocb->ki_pos = io->pos + io->done;
	if (nowait)
		iocb->ki_flags |= IOCB_NOWAIT;
	else
		iocb->ki_flags &= ~IOCB_NOWAIT;
	atomic_set(&io->ref, 2);
	if (qcow2_io_is_write(io) && qcow2_file_check_uncut(io->file)) {
		io->ret = -EIO;
		qcow2_io_put(io);
		return;
	}
	if (!qcow2_io_start_write(io, nowait)) {
		io->ret = -EAGAIN;
		qcow2_io_put(io);
		return;
	}
	ret = qcow2_file_rw(io->file, iocb, &io->iter, io->copied);
	if (ret != -EIOCBQUEUED)
		qcow2_io_complete(iocb, ret);
}

static void qcow2_io_continue(struct work_struct *work)
{
	struct qcow2_io *io = container_of(work, struct qcow2_io, work);
	unsigned int flags = qcow2_work_begin();

	if (io->ret >= 0 && !qcow2_io_is_write(io) &&
	    qcow2_at_end(io->file, io->pos + io->done, io->file_size)) {
		qcow2_io_zero_rest(io);
		io->end(io, 0);
	} else if (!io->ret) {
		io->end(io, -EIO);
	} else {
		qcow2_io_attempt(io, false);
		qcow2_io_put(io);
	}
	qcow2_work_end(flags);
}

/* Has this memory no pages of its own, of which references could be taken? */
static bool qcow2_is_kmalloced(const struct bio_vec *bv)
{
	struct folio *folio = page_folio(bv->bv_page);

	return folio_test_slab(folio) || folio_test_large_kmalloc(folio);
}

/*
 * Direct I/O wants each segment to be whole blocks, and its memory aligned. Where
 * blocks are larger than sectors, memory that is aligned to a sector can be cut by the
 * end of a page. And what comes from kmalloc(), such as metadata of XFS, cannot be
 * sent over a network. A worker copies such.
 */
static bool qcow2_fits_direct(const struct qcow2_file *file,
			      const struct bio_vec *bv, size_t skip, size_t n)
{
	if (file->dio_align > QCOW2_SECTOR_BYTES &&
	    (n & (file->dio_align - 1) ||
	     (bv->bv_offset + skip) & (file->dma_align - 1)))
		return false;
	return !file->remote || !qcow2_is_kmalloced(bv);
}

static bool qcow2_must_copy(const struct qcow2_file *file,
			    const struct iov_iter *iter)
{
	size_t left = iov_iter_count(iter), skip = iter->iov_offset, n;
	const struct bio_vec *bv = iter->bvec;

	if (!file->direct ||
	    (file->dio_align <= QCOW2_SECTOR_BYTES && !file->remote))
		return false;
	for (; left; left -= n, skip = 0, bv++) {
		n = min_t(size_t, bv->bv_len - skip, left);
		if (!qcow2_fits_direct(file, bv, skip, n))
			return true;
	}
	return false;
}

/**
 * qcow2_io_prepare() - set up an I/O
 * @io: to be set up; its start, end and private are the caller's. The data
 *	behind start stays until the end
 * @file: the file
 * @pos: host offset in bytes
 * @ioprio: I/O priority of whoever wants it, 0 for that of the current task
 * @sync_data: a write is on stable storage when it ends
 */
void qcow2_io_prepare(struct qcow2_io *io, struct qcow2_file *file, u64 pos,
		      u16 ioprio, bool sync_data)
{
	io->file = file;
	io->pos = pos;
	io->len = iov_iter_count(&io->start);
	io->done = 0;
	io->copied = qcow2_must_copy(file, &io->start);
	io->iocb = (struct kiocb){
		.ki_filp	= file->file,
		.ki_complete	= qcow2_io_complete,
		.ki_flags	= (file->direct ? IOCB_DIRECT : 0) |
				  (sync_data ? IOCB_DSYNC : 0),
		.ki_ioprio	= ioprio,
	};
}

/**
 * qcow2_io_submit() - start an I/O that was set up
 * @io: it
 * @nowait: the caller must not block and may hold anything; false in workers
 *
 * @io->end may be called before this returns.
 *
 * Context: process; may sleep if not @nowait.
 */
void qcow2_io_submit(struct qcow2_io *io, bool nowait)
{
	struct qcow2_nested nested;

	/*
	 * The page cache is for workers: who submits may hold locks of it. And what else
	 * a worker of requests has to submit does not wait for copies.
	 */
	if (io->copied ||
	    (nowait && !(io->file->nowait && io->iocb.ki_flags & IOCB_DIRECT))) {
		io->ret = -EAGAIN;
		qcow2_io_defer(io);
		return;
	}
	if (!nowait) {
		qcow2_io_attempt(io, false);
		qcow2_io_put(io);
		return;
	}
	qcow2_nested_begin(&nested);
	qcow2_io_attempt(io, true);
	qcow2_nested_end(&nested);
	qcow2_io_put(io);
}

/**
 * qcow2_io_sync() - do an I/O and wait for it
 * @qfile: the file
 * @pos: host offset in bytes
 * @iter: source or destination; consumed
 *
 * What lies beyond the end of the file reads as zeroes.
 *
 * Context: may sleep; a worker or an ioctl, never a submitter.
 * Return: 0 or a negative errno.
 */
int qcow2_io_sync(struct qcow2_file *qfile, u64 pos, struct iov_iter *iter)
{
	size_t len = iov_iter_count(iter), done = 0;
	bool copied = qcow2_must_copy(qfile, iter);
	bool write = iov_iter_rw(iter) == WRITE;
	struct file *file = qfile->file;
	struct iov_iter start = *iter;
	struct kiocb iocb;
	u64 size = 0;
	ssize_t ret;

	if (write && qcow2_file_check_uncut(qfile))
		return -EIO;
	while (done < len) {
		size = i_size_read(file->f_mapping->host);
		*iter = start;
		iov_iter_advance(iter, done);
		init_sync_kiocb(&iocb, file);
		iocb.ki_pos = pos + done;
		iocb.ki_flags = qfile->direct ? IOCB_DIRECT : 0;
		if (write)
			file_start_write(file);
		ret = qcow2_file_rw(qfile, &iocb, iter, copied);
		if (write)
			file_end_write(file);
		if (ret < 0)
			return ret;
		done += ret;
		if (!ret)
			break;
	}
	*iter = start;
	iov_iter_advance(iter, done);
	if (done == len)
		return 0;
	if (write || !qcow2_at_end(qfile, pos + done, size))
		return -EIO;
	iov_iter_zero(len - done, iter);
	return 0;
}

/**
 * qcow2_io_buf() - read or write a buffer and wait for it
 * @file: the file
 * @dir: ITER_DEST to read, ITER_SOURCE to write
 * @pos: host offset in bytes, aligned to the file's dio_align
 * @buf: from qcow2_buf_alloc(), aligned as the file's dma_align demands
 * @len: bytes, whole blocks of the file
 *
 * Context: may sleep, as qcow2_io_sync().
 * Return: 0 or a negative errno.
 */
int qcow2_io_buf(struct qcow2_file *file, int dir, u64 pos, void *buf,
		 size_t len)
{
	struct iov_iter iter;
	struct bio_vec bv;

	bvec_set_virt(&bv, buf, len);
	iov_iter_bvec(&iter, dir, &bv, 1, len);
	return qcow2_io_sync(file, pos, &iter);
}

#define QCOW2_ZERO_VECS		16U

/**
 * qcow2_io_zero() - write zeroes and wait for them
 * @file: the file
 * @pos: host offset in bytes
 * @len: bytes
 *
 * Context: may sleep, as qcow2_io_sync().
 * Return: 0 or a negative errno.
 */
int qcow2_io_zero(struct qcow2_file *file, u64 pos, u64 len)
{
	struct bio_vec bv[QCOW2_ZERO_VECS];
	struct iov_iter iter;
	unsigned int i;
	int ret = 0;

	while (len && !ret) {
		size_t chunk = min_t(u64, len, QCOW2_ZERO_VECS << PAGE_SHIFT);
		size_t left = chunk;

		for (i = 0; left; i++) {
			size_t n = min_t(size_t, left, PAGE_SIZE);

			bvec_set_page(&bv[i], ZERO_PAGE(0), n, 0);
			left -= n;
		}
		iov_iter_bvec(&iter, ITER_SOURCE, bv, i, chunk);
		ret = qcow2_io_sync(file, pos, &iter);
		pos += chunk;
		len -= chunk;
	}
	return ret;
}

/**
 * qcow2_io_flush() - put all that was written to the file on stable storage
 * @file: the file
 *
 * If that fails, the image fails: what of all the writes before is on disk nobody
 * knows, and the next flush would not say.
 *
 * Context: may sleep, as qcow2_io_sync().
 * Return: 0 or a negative errno, but none that passes: what could not be written
 * is lost.
 */
int qcow2_io_flush(struct qcow2_file *file)
{
	struct qcow2_image *image = file->image;
	int ret;

	atomic64_inc(&image->dev->stats.flushes);
	ret = vfs_fsync_range(file->file, 0, LLONG_MAX, 1);
	/*
	 * That a page was lost is told once for each open file, and some write may
	 * have been told: one with O_DSYNC, or any to NFS.
	 */
	if (!ret)
		ret = filemap_check_wb_err(file->mapping, file->wb_err);
	if (qcow2_error_passes(ret))
		ret = -EIO;
	if (ret && image->writable)
		qcow2_image_fail(image, ret);
	return ret;
}

/**
 * qcow2_layer_flush() - the same for all files of a layer
 * @layer: the layer
 *
 * Context: may sleep, as qcow2_io_sync().
 * Return: 0 or a negative errno.
 */
int qcow2_layer_flush(struct qcow2_layer *layer)
{
	int ret = 0;

	if (layer->data != &layer->meta)
		ret = qcow2_io_flush(layer->data);
	return ret ? ret : qcow2_io_flush(&layer->meta);
}
