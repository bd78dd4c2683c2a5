// SPDX-License-Identifier: GPL-2.0-only
/*
 * An image: the chain of layers with everything that is known of it. It is
 * built from nothing at attach and at every thaw.
 */
#include <linux/file.h>
#include <linux/slab.h>
#include "qcow2.h"

/* Of the metadata cache: one part in so many is for refcounts. */
#define QCOW2_REFCOUNT_SHARE	8

/* Parts of requests that can be under way without memory to be had. */
#define QCOW2_POOL_RESERVE	4

static int qcow2_chain_add(struct qcow2_chain *chain, u32 i,
			   const struct qcow2_ctl_layer *layer,
			   struct qcow2_err *err)
{
	struct file *file;

	if (layer->format != QCOW2_FORMAT_QCOW2 &&
	    layer->format != QCOW2_FORMAT_RAW)
		return qcow2_fail(err, -EINVAL, "layer %u: unknown format %u", i,
				  layer->format);
	if (layer->reserved)
		return qcow2_fail(err, -EINVAL,
				  "layer %u: reserved field is not zero", i);
	file = fget(layer->fd);
	if (!file)
		return qcow2_fail(err, -EBADF, "layer %u: no such file descriptor",
				  i);
	chain->files[i].file = file;
	chain->files[i].format = layer->format;
	if (layer->data_fd == -1)
		return 0;
	file = fget(layer->data_fd);
	if (!file)
		return qcow2_fail(err, -EBADF,
				  "layer %u: no such file descriptor for its data file",
				  i);
	chain->files[i].data = file;
	return 0;
}

/**
 * qcow2_chain_get() - take references to the files that userspace opened
 * @layers: the chain, active layer first
 * @nr: layers, at least 1
 * @err: receives the reason in words
 *
 * Return: the chain or ERR_PTR.
 */
struct qcow2_chain *qcow2_chain_get(const struct qcow2_ctl_layer *layers,
				    u32 nr, struct qcow2_err *err)
{
	struct qcow2_chain *chain;
	u32 i;
	int ret;

	chain = kzalloc(struct_size(chain, files, nr), GFP_KERNEL);
	if (!chain)
		return ERR_PTR(-ENOMEM);
	chain->nr = nr;
	for (i = 0; i < nr; i++) {
		ret = qcow2_chain_add(chain, i, &layers[i], err);
		if (ret) {
			qcow2_chain_put(chain);
			return ERR_PTR(ret);
		}
	}
	return chain;
}

/**
 * qcow2_chain_put() - release the files of a chain
 * @chain: may be NULL, or half made
 */
void qcow2_chain_put(struct qcow2_chain *chain)
{
	u32 i;

	if (!chain)
		return;
	for (i = 0; i < chain->nr; i++) {
		if (chain->files[i].file)
			fput(chain->files[i].file);
		if (chain->files[i].data)
			fput(chain->files[i].data);
	}
	kfree(chain);
}

static void qcow2_image_give_up(struct qcow2_image *image, int error,
				const char *reason)
{
	if (cmpxchg(&image->commit.error, 0, error))
		return;
	qcow2_dev_set_reason(image->dev, reason);
	pr_err("qcow2%d: image can no longer be written, the device is read-only now: %s\n",
	       image->dev->index, reason);
	qcow2_dev_failed(image->dev);
}

/**
 * qcow2_image_fail() - metadata can no longer be written
 * @image: the image
 * @error: negative errno
 *
 * Nothing is written from now on; reads go on.
 *
 * Context: any.
 */
void qcow2_image_fail(struct qcow2_image *image, int error)
{
	char reason[64];

	snprintf(reason, sizeof(reason),
		 "a write or flush of the image failed (error %d)", error);
	qcow2_image_give_up(image, error, reason);
}

/**
 * qcow2_image_corrupt() - the image contradicts itself
 * @layer: where it was found
 * @what: is wrong, in words
 * @where: an offset or a number that helps to find it
 *
 * Context: any.
 */
void qcow2_image_corrupt(struct qcow2_layer *layer, const char *what, u64 where)
{
	struct qcow2_image *image = layer->image;
	char reason[QCOW2_REASON_MAX];

	snprintf(reason, sizeof(reason), "layer %u is corrupt: %s (0x%llx)",
		 layer->index, what, where);
	pr_err_ratelimited("qcow2%d: %s\n", image->dev->index, reason);
	if (layer->index || !image->writable)
		return;
	WRITE_ONCE(image->corrupt, true);
	qcow2_image_give_up(image, -EIO, reason);
	/* It marks the file. */
	qcow2_commit_now(image);
}

static void qcow2_name_layer(struct qcow2_err *err, struct qcow2_layer *layer)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
	char *name = buf ? file_path(layer->meta.file, buf, PATH_MAX) : NULL;

	if (IS_ERR_OR_NULL(name))
		qcow2_err_prefix(err, "layer %u: ", layer->index);
	else
		qcow2_err_prefix(err, "%s: ", name);
	kfree(buf);
}

static bool qcow2_same_file(const struct qcow2_file *file,
			    const struct inode *inode)
{
	return file->file && file->file->f_mapping->host == inode;
}

/* The same file twice in a chain would be a circle. */
static int qcow2_check_circle(struct qcow2_image *image, u32 i,
			      const struct qcow2_file *file,
			      struct qcow2_err *err)
{
	struct inode *inode = file->file->f_mapping->host;
	u32 j;

	for (j = 0; j <= i; j++) {
		struct qcow2_layer *layer = &image->layers[j];

		if ((file != &layer->meta && qcow2_same_file(&layer->meta, inode)) ||
		    (file != &layer->external &&
		     qcow2_same_file(&layer->external, inode)))
			return qcow2_fail(err, -ELOOP,
					  "is in the backing chain twice");
	}
	return 0;
}

/* An image must not lie on the very disk that it is to become. */
static int qcow2_check_self(struct qcow2_image *image,
			    const struct qcow2_file *file,
			    struct qcow2_err *err)
{
	struct inode *inode = file->file->f_mapping->host;
	struct block_device *bdev = inode->i_sb->s_bdev;

	if (S_ISBLK(inode->i_mode))
		bdev = I_BDEV(inode);
	if (bdev && image->dev->disk && bdev->bd_disk == image->dev->disk)
		return qcow2_fail(err, -ELOOP, "lies on the device itself");
	return 0;
}

static int qcow2_check_backed(struct qcow2_image *image, u32 i,
			      struct qcow2_err *err)
{
	struct qcow2_layer *layer = &image->layers[i];
	bool backed = layer->header.backing_offset && layer->header.backing_len;
	bool last = i + 1 == image->chain->nr;

	if (layer->format == QCOW2_FORMAT_RAW) {
		if (layer->external.file)
			return qcow2_fail(err, -EINVAL,
					  "a raw file has no external data file");
		if (i == 0)
			return qcow2_fail(err, -EINVAL,
					  "a raw file cannot be the active layer");
		if (!last)
			return qcow2_fail(err, -EINVAL,
					  "a raw file has no backing file");
		return 0;
	}
	if (backed && last)
		return qcow2_fail(err, -EINVAL, "its backing file is missing");
	if (!backed && !last)
		return qcow2_fail(err, -EINVAL, "has no backing file");
	return 0;
}

/*
 * The files are read again that a window was opened with, not those that a rebase
 * has named meanwhile.
 */
static int qcow2_check_names(struct qcow2_layer *layer, struct qcow2_err *err)
{
	struct qcow2_chain_file *file = &layer->image->chain->files[layer->index];

	if (file->named && file->names != layer->names)
		return qcow2_fail(err, -ESTALE,
				  "names another backing or data file than before");
	file->named = true;
	file->names = layer->names;
	return 0;
}

/* Before anything is read, so that it stays what was read. */
static int qcow2_lock_file(struct qcow2_image *image, u32 i,
			   struct qcow2_file *file, bool writable,
			   struct qcow2_err *err)
{
	int ret;

	ret = qcow2_check_circle(image, i, file, err);
	if (!ret)
		ret = qcow2_check_self(image, file, err);
	if (!ret)
		ret = qcow2_file_lock(file->file, writable, err);
	if (!ret)
		image->locked = i + 1;
	return ret;
}

static int qcow2_open_layer(struct qcow2_image *image, u32 i,
			    struct qcow2_err *err)
{
	u64 cache_bytes = image->dev->cache_bytes;
	struct qcow2_layer *layer = &image->layers[i];
	bool writable = image->writable && i == 0;
	int ret;

	cache_bytes -= cache_bytes / QCOW2_REFCOUNT_SHARE;
	layer->image = image;
	layer->index = i;
	layer->meta.image = image;
	layer->meta.file = image->chain->files[i].file;
	layer->external.image = image;
	layer->external.file = image->chain->files[i].data;
	layer->format = image->chain->files[i].format;
	ret = qcow2_lock_file(image, i, &layer->meta, writable, err);
	if (!ret && layer->external.file) {
		ret = qcow2_lock_file(image, i, &layer->external, writable, err);
		if (ret)
			qcow2_err_prefix(err, "external data file: ");
	}
	if (!ret)
		ret = qcow2_layer_open(layer, writable,
				       div_u64(cache_bytes, image->chain->nr),
				       err);
	if (!ret)
		ret = qcow2_check_backed(image, i, err);
	if (!ret)
		ret = qcow2_check_names(layer, err);
	if (ret)
		qcow2_name_layer(err, layer);
	return ret;
}

/* The layers below one, too, are read no further than to its end. */
static void qcow2_buffer_from(struct qcow2_image *image, u32 i)
{
	for (; i < image->chain->nr; i++) {
		qcow2_file_buffer(&image->layers[i].meta);
		qcow2_file_buffer(&image->layers[i].external);
	}
}

/* Direct I/O is for whole blocks of @file only; the disk's are as large. */
static void qcow2_align_file(struct qcow2_file *file, u64 grain, u32 *block_size)
{
	if (!file->file)
		return;
	if (file->dio_align > grain)
		qcow2_file_buffer(file);
	*block_size = max(*block_size, file->dio_align);
}

/* The largest block of a file with direct I/O. */
static u32 qcow2_align_files(struct qcow2_image *image)
{
	struct gendisk *disk = image->dev->disk;
	/* A disk that exists keeps the blocks that it has. */
	u64 grain = disk ? queue_logical_block_size(disk->queue) : PAGE_SIZE;
	u32 block_size = QCOW2_SECTOR_BYTES, i;

	for (i = 0; i < image->chain->nr; i++) {
		struct qcow2_layer *layer = &image->layers[i];

		if (layer->format == QCOW2_FORMAT_QCOW2)
			grain = min(grain, BIT_ULL(qcow2_sub_bits(layer)));
		qcow2_align_file(&layer->meta, grain, &block_size);
		qcow2_align_file(&layer->external, grain, &block_size);
	}
	return block_size;
}

/*
 * An I/O to a layer's file begins and ends with a request, or where this layer
 * or one over it tells two things apart, or where one of them ends.
 */
static void qcow2_align_layers(struct qcow2_image *image)
{
	u32 block_size = qcow2_align_files(image), i;

	for (i = 0; i < image->chain->nr; i++) {
		if (!(image->layers[i].size & (block_size - 1)))
			continue;
		qcow2_buffer_from(image, i);
		break;
	}
	image->block_size = qcow2_align_files(image);
}

static int qcow2_open_layers(struct qcow2_image *image, struct qcow2_err *err)
{
	struct qcow2_layer *active = qcow2_active(image);
	int ret = 0;
	u32 i;

	for (i = 0; i < image->chain->nr && !ret; i++)
		ret = qcow2_open_layer(image, i, err);
	if (ret)
		return ret;
	qcow2_align_layers(image);
	image->tail = active->meta.size;
	image->size = active->size;
	image->incompatible = active->header.incompatible;
	image->autoclear = active->header.autoclear;
	image->lazy = image->writable &&
		      active->header.compatible & QCOW2_COMPAT_LAZY_REFCOUNTS;
	ret = qcow2_alloc_open(image, image->dev->cache_bytes /
			       QCOW2_REFCOUNT_SHARE, err);
	if (!ret && image->writable)
		ret = qcow2_overlap_open(image, err);
	if (ret)
		qcow2_name_layer(err, active);
	return ret;
}

/*
 * What requests need to go on when there is no memory: their own for each
 * image, for one may lie on a file system on another.
 */
static int qcow2_pools_init(struct qcow2_image *image)
{
	int ret;

	ret = mempool_init_kmalloc_pool(&image->ios, QCOW2_POOL_RESERVE,
					sizeof(struct qcow2_io));
	if (!ret)
		ret = mempool_init_kmalloc_pool(&image->cows,
						QCOW2_POOL_RESERVE,
						qcow2_cow_size());
	if (!ret)
		ret = qcow2_bounces_init(&image->bounces);
	if (!ret)
		ret = qcow2_copies_init(&image->copies);
	return ret;
}

static void qcow2_pools_exit(struct qcow2_image *image)
{
	mempool_exit(&image->ios);
	mempool_exit(&image->cows);
	qcow2_bounces_exit(&image->bounces);
	mempool_exit(&image->copies);
}

/**
 * qcow2_image_open() - lock, read and validate a chain
 * @dev: the device that is to serve it
 * @chain: its files; stay the caller's
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O.
 * Return: the image or ERR_PTR.
 */
struct qcow2_image *qcow2_image_open(struct qcow2_dev *dev,
				     struct qcow2_chain *chain,
				     struct qcow2_err *err)
{
	struct qcow2_image *image;
	u32 i;
	int ret;

	image = kvzalloc(struct_size(image, layers, chain->nr), GFP_KERNEL);
	if (!image)
		return ERR_PTR(-ENOMEM);
	image->dev = dev;
	image->chain = chain;
	image->writable = !dev->readonly;
	image->wq = dev->wq;
	image->io_wq = dev->io_wq;
	image->commit_wq = dev->commit_wq;
	qcow2_ranges_init(&image->clusters);
	qcow2_ranges_init(&image->tables);
	mutex_init(&image->extend_lock);
	mutex_init(&image->header_lock);
	qcow2_inflater_init(&image->inflater);
	mutex_init(&image->alloc.lock);
	mutex_init(&image->alloc.grow_lock);
	xa_init(&image->alloc.resting);
	qcow2_overlap_init(&image->overlap);
	for (i = 0; i < chain->nr; i++)
		qcow2_cache_init(&image->layers[i].l2, &image->layers[i],
				 qcow2_l2_host, qcow2_overlap_slice);
	qcow2_cache_init(&image->alloc.blocks, qcow2_active(image),
			 qcow2_refcount_host, NULL);
	ret = qcow2_epochs_init(image);
	if (ret) {
		kvfree(image);
		return ERR_PTR(ret);
	}
	ret = qcow2_commit_init(image);
	if (!ret)
		ret = qcow2_pools_init(image);
	if (!ret)
		ret = qcow2_shrinker_add(image);
	if (!ret)
		ret = qcow2_open_layers(image, err);
	if (!ret)
		return image;
	qcow2_image_close(image);
	return ERR_PTR(ret);
}

/**
 * struct qcow2_leave - the last steps before a file is somebody else's
 * @work: does them
 * @image: without requests in flight, all committed
 * @ret: 0 or a negative errno
 */
struct qcow2_leave {
	struct work_struct work;
	struct qcow2_image *image;
	int ret;
};

static void qcow2_leave_work(struct work_struct *work)
{
	struct qcow2_leave *leave = container_of(work, struct qcow2_leave, work);
	struct qcow2_image *image = leave->image;
	unsigned int flags = qcow2_work_begin();
	int ret;

	ret = qcow2_image_trim(image);
	if (!ret)
		ret = qcow2_layer_flush(qcow2_active(image));
	leave->ret = ret ? ret : qcow2_image_end_write(image);
	qcow2_layer_drop_stale(qcow2_active(image));
	qcow2_work_end(flags);
}

/*
 * In a worker, since a network file system below stops in the middle of it if
 * whoever waits is killed: then the image would have failed, or be shorter than
 * is known here.
 */
static int qcow2_image_leave(struct qcow2_image *image)
{
	struct qcow2_leave leave = { .image = image };

	INIT_WORK_ONSTACK(&leave.work, qcow2_leave_work);
	queue_work(image->commit_wq, &leave.work);
	flush_work(&leave.work);
	destroy_work_on_stack(&leave.work);
	return leave.ret;
}

/**
 * qcow2_image_settle() - leave a complete, clean file behind
 * @image: without requests in flight
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno; the image stays usable.
 */
int qcow2_image_settle(struct qcow2_image *image)
{
	int ret;

	if (!image->writable)
		return 0;
	ret = qcow2_file_check_uncut(&qcow2_active(image)->meta);
	if (!ret)
		ret = qcow2_file_check_uncut(qcow2_active(image)->data);
	if (!ret)
		ret = qcow2_commit_all(image);
	return ret ? ret : qcow2_image_leave(image);
}

/**
 * qcow2_image_close() - forget an image and release its locks
 * @image: without requests in flight, or half opened; what is dirty is lost
 *
 * Context: may sleep.
 */
void qcow2_image_close(struct qcow2_image *image)
{
	u32 i;

	qcow2_shrinker_remove(image);
	qcow2_commit_stop(image);
	qcow2_epochs_exit(image);
	qcow2_commit_exit(image);
	qcow2_header_mark_corrupt(image);
	qcow2_pools_exit(image);
	qcow2_inflater_exit(&image->inflater);
	qcow2_alloc_close(image);
	qcow2_overlap_exit(&image->overlap);
	for (i = 0; i < image->chain->nr; i++)
		qcow2_layer_close(&image->layers[i]);
	for (i = 0; i < image->locked; i++) {
		qcow2_file_unlock(image->layers[i].meta.file);
		if (image->layers[i].external.file)
			qcow2_file_unlock(image->layers[i].external.file);
	}
	kvfree(image);
}
