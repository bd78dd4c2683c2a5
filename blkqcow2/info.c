// SPDX-License-Identifier: GPL-2.0-only
/*
 * What there is to know of a device.
 */
#include <linux/ktime.h>
#include <linux/percpu.h>
#include "qcow2.h"

static u64 qcow2_sum(unsigned long __percpu *counter)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		/* Requests count on meanwhile: it is a number of some moment. */
		sum += data_race(*per_cpu_ptr(counter, cpu));
	}
	return sum;
}

static void qcow2_info_image(struct qcow2_dev *dev, struct qcow2_ctl_info *info)
{
	struct qcow2_image *image = dev->image;
	struct qcow2_layer *layer;
	u32 i;

	if (!image)
		return;
	for (i = 0; i < image->chain->nr; i++) {
		layer = &image->layers[i];
		/* Slices come and go meanwhile. */
		info->cache_used += data_race(layer->l2.nr) <<
				    layer->l2.slice_bits;
		if (!layer->meta.direct || !layer->data->direct)
			info->dev_flags |= QCOW2_DEV_F_BUFFERED;
	}
	/* These, too. */
	info->cache_used += data_race(image->alloc.blocks.nr) <<
			    image->alloc.blocks.slice_bits;
	layer = &image->layers[info->layer];
	info->layer_virtual_size = layer->size;
	if (layer->format != QCOW2_FORMAT_QCOW2)
		return;
	info->layer_version = layer->header.version;
	info->layer_cluster_bits = layer->header.cluster_bits;
	info->layer_refcount_bits = 1U << layer->header.refcount_order;
	info->layer_incompatible = layer->header.incompatible;
	info->layer_compatible = layer->header.compatible;
	info->layer_autoclear = layer->header.autoclear;
	if (layer->index)
		return;
	info->layer_incompatible = READ_ONCE(image->incompatible);
	info->layer_autoclear = READ_ONCE(image->autoclear);
}

static char *qcow2_info_path(const struct qcow2_chain_file *files, bool data,
			     char *buf)
{
	if (!data)
		return file_path(files->file, buf, QCOW2_PATH_MAX);
	if (files->data)
		return file_path(files->data, buf, QCOW2_PATH_MAX);
	*buf = 0;
	return buf;
}

static char *qcow2_info_text(struct qcow2_dev *dev,
			     const struct qcow2_ctl_info *info, char *buf)
{
	if (!(info->head.flags & QCOW2_INFO_F_REASON))
		return qcow2_info_path(&dev->chain->files[info->layer],
				       info->head.flags & QCOW2_INFO_F_DATA_PATH,
				       buf);
	qcow2_dev_get_reason(dev, buf, QCOW2_PATH_MAX);
	return buf;
}

/**
 * qcow2_info_fill() - describe a device
 * @dev: the device
 * @disk: its disk
 * @info: in: the layer; out: the rest
 * @buf: QCOW2_PATH_MAX bytes for the layer's path
 * @path: out: the path, in @buf
 * @err: receives the reason in words
 *
 * Context: does not wait; under the lock of the table of devices, which keeps the
 * chain and the image, but not the state.
 * Return: 0 or a negative errno.
 */
int qcow2_info_fill(struct qcow2_dev *dev, struct gendisk *disk,
		    struct qcow2_ctl_info *info, char *buf, char **path,
		    struct qcow2_err *err)
{
	if (info->layer >= dev->chain->nr)
		return qcow2_fail(err, -EINVAL, "/dev/qcow2%d has %u layers",
				  dev->index, dev->chain->nr);
	info->index = dev->index;
	info->state = READ_ONCE(dev->state);
	/* A window that opens or closes just now may be seen half. */
	info->dev_flags = (dev->readonly ? QCOW2_DEV_F_READONLY : 0) |
			  (READ_ONCE(dev->deferred) ? QCOW2_DEV_F_DEFERRED : 0) |
			  (dev->park ? QCOW2_DEV_F_PARK : 0) |
			  (READ_ONCE(dev->nospace) ? QCOW2_DEV_F_NOSPACE : 0) |
			  (READ_ONCE(dev->window.fs) ? QCOW2_DEV_F_FS_FROZEN : 0) |
			  (READ_ONCE(dev->window.expired) ? QCOW2_DEV_F_EXPIRED : 0);
	info->nr_layers = dev->chain->nr;
	info->layer_format = dev->chain->files[info->layer].format;
	info->logical_block_size = queue_logical_block_size(disk->queue);
	info->size_bytes = get_capacity(disk) << SECTOR_SHIFT;
	if (info->state == QCOW2_STATE_FROZEN)
		info->frozen_ns = ktime_to_ns(ktime_sub(ktime_get(),
							READ_ONCE(dev->window.since)));
	info->cache_bytes = dev->cache_bytes;
	info->nr_commits = atomic64_read(&dev->stats.commits);
	info->nr_flushes = atomic64_read(&dev->stats.flushes);
	info->nr_allocated = atomic64_read(&dev->stats.allocated);
	info->nr_freed = atomic64_read(&dev->stats.freed);
	info->nr_inflated = atomic64_read(&dev->stats.inflated);
	info->nr_direct = qcow2_sum(dev->nr_direct);
	info->nr_worker = qcow2_sum(dev->nr_worker);
	qcow2_info_image(dev, info);
	*path = qcow2_info_text(dev, info, buf);
	return PTR_ERR_OR_ZERO(*path);
}
