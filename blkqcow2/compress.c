// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compressed clusters.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/zlib.h>
#include "qcow2.h"

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

static int qcow2_decompress_cluster(const struct qcow2_extent *ext, void *to)
{
	struct qcow2_layer *layer = ext->layer;
	void *from;
	int ret;

	if (ext->host >= qcow2_layer_end(layer))
		return -EIO;
	from = kvmalloc(ext->bytes, GFP_KERNEL);
	if (!from)
		return -ENOMEM;
	ret = qcow2_layer_read(layer, ext->host, from, ext->bytes);
	if (!ret)
		ret = qcow2_inflate(from, ext->bytes, to,
				    qcow2_cluster_size(layer));
	kvfree(from);
	return ret;
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
	void *cluster = kvmalloc(qcow2_cluster_size(layer), GFP_KERNEL);
	int ret;

	if (!cluster)
		return -ENOMEM;
	ret = qcow2_decompress_cluster(ext, cluster);
	if (!ret && copy_to_iter(cluster + qcow2_in_cluster(layer, guest), len,
				 to) != len)
		ret = -EFAULT;
	if (ret == -EIO)
		pr_err_ratelimited("qcow2%d: layer %u: cannot decompress the cluster at guest offset 0x%llx\n",
				   layer->image->dev->index, layer->index, guest);
	kvfree(cluster);
	return ret;
}
