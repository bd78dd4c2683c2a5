// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compressed clusters, and a few of them in memory as what they contain: who
 * reads a cluster in small pieces has it decompressed once.
 *
 * What is at a host offset stays what it is while the image is attached: no
 * compressed cluster is ever written, and a layer's host offset that was one
 * is never another.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sizes.h>
#include <linux/zlib.h>
#include <linux/zstd.h>
#include "qcow2.h"

/* Memory for decompressed clusters, within a number of them. */
#define QCOW2_INFLATED_BYTES	SZ_1M
#define QCOW2_INFLATED_MIN	2U
#define QCOW2_INFLATED_MAX	16U

/* Bound of those that are being decompressed or copied from. */
#define QCOW2_INFLATING_BYTES	SZ_8M
#define QCOW2_INFLATING_MIN	4U
#define QCOW2_INFLATING_MAX	32U

/**
 * struct qcow2_inflated - a compressed cluster as what it contains
 * @node: in qcow2_inflater.clusters, the last used one first
 * @layer: whose it is
 * @host: host offset of the stream
 * @users: who reads it; it stays as long as there is one
 * @busy: being decompressed
 * @error: what went wrong then
 * @data: a cluster
 */
struct qcow2_inflated {
	struct list_head node;
	struct qcow2_layer *layer;
	u64 host;
	unsigned int users;
	bool busy;
	int error;
	void *data;
};

static int qcow2_inflate(const void *from, size_t bytes, void *to, size_t len)
{
	struct z_stream_s stream = {
		.next_in = from,
		.avail_in = bytes,
		.next_out = to,
		.avail_out = len,
	};
	int ret;

	/* zlib_inflate_blob() would need that much in one piece. */
	stream.workspace = kvmalloc(zlib_inflate_workspacesize(), GFP_KERNEL);
	if (!stream.workspace)
		return -ENOMEM;
	/* A raw deflate stream. */
	ret = zlib_inflateInit2(&stream, -MAX_WBITS);
	if (ret == Z_OK)
		ret = zlib_inflate(&stream, Z_FINISH);
	kvfree(stream.workspace);
	/* Its length is known to a sector only; what counts is what it gives. */
	if ((ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !stream.avail_out)
		return 0;
	return -EIO;
}

/* One frame or several, and after them what the last sector has besides. */
static int qcow2_unzstd(const void *from, size_t bytes, void *to, size_t len)
{
	size_t space = zstd_dctx_workspace_bound(), frame, got;
	void *workspace = kvmalloc(space, GFP_KERNEL);
	zstd_dctx *dctx;

	if (!workspace)
		return -ENOMEM;
	dctx = zstd_init_dctx(workspace, space);
	while (dctx && len) {
		frame = zstd_find_frame_compressed_size(from, bytes);
		if (zstd_is_error(frame))
			break;
		got = zstd_decompress_dctx(dctx, to, len, from, frame);
		if (zstd_is_error(got))
			break;
		from += frame;
		bytes -= frame;
		to += got;
		len -= got;
	}
	kvfree(workspace);
	return len ? -EIO : 0;
}

static int qcow2_decompress_cluster(const struct qcow2_extent *ext, void *to)
{
	struct qcow2_layer *layer = ext->layer;
	u64 len = qcow2_cluster_size(layer);
	void *from;
	int ret;

	if (ext->host >= qcow2_layer_end(layer)) {
		qcow2_image_corrupt(layer, "compressed cluster beyond the end of the file",
				    ext->host);
		return -EIO;
	}
	from = kvmalloc(ext->bytes, GFP_KERNEL);
	if (!from)
		return -ENOMEM;
	ret = qcow2_layer_read(layer, ext->host, from, ext->bytes);
	if (!ret) {
		atomic64_inc(&layer->image->dev->stats.inflated);
		ret = layer->header.compression_type ?
		      qcow2_unzstd(from, ext->bytes, to, len) :
		      qcow2_inflate(from, ext->bytes, to, len);
		if (ret == -EIO)
			qcow2_image_corrupt(layer, "compressed cluster", ext->host);
	}
	kvfree(from);
	return ret;
}

static unsigned int qcow2_inflated_max(const struct qcow2_layer *layer)
{
	return clamp_t(unsigned int, QCOW2_INFLATED_BYTES >> layer->cluster_bits,
		       QCOW2_INFLATED_MIN, QCOW2_INFLATED_MAX);
}

static void qcow2_inflated_free(struct qcow2_inflated *cluster)
{
	kvfree(cluster->data);
	kfree(cluster);
}

static struct qcow2_inflated *qcow2_inflated_alloc(const struct qcow2_extent *ext)
{
	struct qcow2_inflated *cluster = kzalloc_obj(*cluster);

	if (!cluster)
		return NULL;
	cluster->layer = ext->layer;
	cluster->host = ext->host;
	cluster->users = 1;
	cluster->busy = true;
	cluster->data = kvmalloc(qcow2_cluster_size(ext->layer), GFP_KERNEL);
	if (cluster->data)
		return cluster;
	kfree(cluster);
	return NULL;
}

static struct qcow2_inflated *qcow2_inflated_find(struct qcow2_inflater *inflater,
						  const struct qcow2_extent *ext)
{
	struct qcow2_inflated *cluster;

	lockdep_assert_held(&inflater->lock);
	list_for_each_entry(cluster, &inflater->clusters, node) {
		if (cluster->layer != ext->layer || cluster->host != ext->host)
			continue;
		list_move(&cluster->node, &inflater->clusters);
		if (!cluster->users++)
			inflater->nr_used++;
		return cluster;
	}
	return NULL;
}

/* Make room for one more: take out those that were used last longest ago. */
static void qcow2_inflated_evict(struct qcow2_inflater *inflater,
				 unsigned int max, struct list_head *victims)
{
	struct qcow2_inflated *cluster, *next;

	lockdep_assert_held(&inflater->lock);
	list_for_each_entry_safe_reverse(cluster, next, &inflater->clusters, node) {
		if (inflater->nr < max)
			break;
		if (cluster->users)
			continue;
		list_move(&cluster->node, victims);
		inflater->nr--;
	}
}

/*
 * Wait until there is memory for one more: who has some waits for nothing but
 * its own reads.
 */
static bool qcow2_inflater_enter(struct qcow2_inflater *inflater,
				 const struct qcow2_layer *layer)
{
	unsigned int max = clamp_t(unsigned int,
				   QCOW2_INFLATING_BYTES >> layer->cluster_bits,
				   QCOW2_INFLATING_MIN, QCOW2_INFLATING_MAX);
	bool enter;

	spin_lock(&inflater->lock);
	enter = inflater->nr_used < max;
	inflater->nr_used += enter;
	spin_unlock(&inflater->lock);
	return enter;
}

static void qcow2_inflater_leave(struct qcow2_inflater *inflater)
{
	lockdep_assert_held(&inflater->lock);
	inflater->nr_used--;
	wake_up_all(&inflater->wait);
}

/* The one that is there, or @fresh, which becomes it. */
static struct qcow2_inflated *qcow2_inflated_add(struct qcow2_inflater *inflater,
						 const struct qcow2_extent *ext,
						 struct qcow2_inflated *fresh)
{
	struct qcow2_inflated *cluster, *next;
	LIST_HEAD(victims);

	spin_lock(&inflater->lock);
	cluster = qcow2_inflated_find(inflater, ext);
	if (cluster) {
		qcow2_inflater_leave(inflater);
	} else {
		qcow2_inflated_evict(inflater, qcow2_inflated_max(ext->layer),
				     &victims);
		list_add(&fresh->node, &inflater->clusters);
		inflater->nr++;
		cluster = fresh;
	}
	spin_unlock(&inflater->lock);
	list_for_each_entry_safe(fresh, next, &victims, node)
		qcow2_inflated_free(fresh);
	return cluster;
}

static void qcow2_inflated_done(struct qcow2_inflater *inflater,
				struct qcow2_inflated *cluster, int error)
{
	cluster->error = error;
	/* Pairs with the acquire in qcow2_inflated_get(). */
	smp_store_release(&cluster->busy, false);
	wake_up_all(&inflater->wait);
}

/* A cluster that could not be decompressed is not kept. */
static void qcow2_inflated_put(struct qcow2_inflater *inflater,
			       struct qcow2_inflated *cluster)
{
	bool gone = false;

	spin_lock(&inflater->lock);
	if (!--cluster->users) {
		qcow2_inflater_leave(inflater);
		gone = cluster->error;
	}
	if (gone) {
		list_del(&cluster->node);
		inflater->nr--;
	}
	spin_unlock(&inflater->lock);
	if (gone)
		qcow2_inflated_free(cluster);
}

static struct qcow2_inflated *qcow2_inflated_get(struct qcow2_inflater *inflater,
						 const struct qcow2_extent *ext)
{
	struct qcow2_inflated *cluster, *fresh;

	spin_lock(&inflater->lock);
	cluster = qcow2_inflated_find(inflater, ext);
	spin_unlock(&inflater->lock);
	if (!cluster) {
		wait_event(inflater->wait, qcow2_inflater_enter(inflater, ext->layer));
		fresh = qcow2_inflated_alloc(ext);
		if (!fresh) {
			spin_lock(&inflater->lock);
			qcow2_inflater_leave(inflater);
			spin_unlock(&inflater->lock);
			return NULL;
		}
		cluster = qcow2_inflated_add(inflater, ext, fresh);
		if (cluster == fresh) {
			qcow2_inflated_done(inflater, cluster,
					    qcow2_decompress_cluster(ext, cluster->data));
			return cluster;
		}
		qcow2_inflated_free(fresh);
	}
	/* By another worker, which waits for nothing but its own read. */
	/* Pairs with the release in qcow2_inflated_done(). */
	wait_event(inflater->wait, !smp_load_acquire(&cluster->busy));
	return cluster;
}

/**
 * qcow2_decompress() - read from a compressed cluster
 * @ext: the extent, of kind QCOW2_COMPRESSED
 * @guest: guest offset in bytes
 * @len: bytes, inside the cluster
 * @to: destination, advanced by @len
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_decompress(const struct qcow2_extent *ext, u64 guest, size_t len,
		     struct iov_iter *to)
{
	struct qcow2_layer *layer = ext->layer;
	struct qcow2_inflater *inflater = &layer->image->inflater;
	struct qcow2_inflated *cluster = qcow2_inflated_get(inflater, ext);
	int ret;

	if (!cluster)
		return -ENOMEM;
	ret = cluster->error;
	if (!ret && copy_to_iter(cluster->data + qcow2_in_cluster(layer, guest),
				 len, to) != len)
		ret = -EFAULT;
	qcow2_inflated_put(inflater, cluster);
	return ret;
}

/**
 * qcow2_inflater_init() - no cluster is decompressed
 * @inflater: to be set up
 */
void qcow2_inflater_init(struct qcow2_inflater *inflater)
{
	spin_lock_init(&inflater->lock);
	INIT_LIST_HEAD(&inflater->clusters);
	init_waitqueue_head(&inflater->wait);
	inflater->nr = 0;
	inflater->nr_used = 0;
}

/**
 * qcow2_inflater_exit() - free all decompressed clusters
 * @inflater: no longer used by anybody
 */
void qcow2_inflater_exit(struct qcow2_inflater *inflater)
{
	struct qcow2_inflated *cluster, *next;

	list_for_each_entry_safe(cluster, next, &inflater->clusters, node)
		qcow2_inflated_free(cluster);
}
