// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block device side of a device: gendisk, queue, limits, sysfs.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/ktime.h>
#include <linux/sizes.h>
#include <linux/sysfs.h>
#include "qcow2.h"

/* Requests of a disk at a time, on all processors together: loop has half of it. */
#define QCOW2_QUEUE_DEPTH	256
#define QCOW2_MAX_IO_BYTES	SZ_4M

/* What one request zeroes or discards: so many clusters, or so many bytes. */
#define QCOW2_MAX_ZERO_CLUSTERS	16384U
#define QCOW2_MAX_ZERO_BYTES	SZ_1G

/* Milliseconds, about, for somebody to finish opening or closing the disk. */
#define QCOW2_CLAIM_TRIES	100

/**
 * qcow2_state_name() - the name of a state, as users see it
 * @state: of a device
 */
const char *qcow2_state_name(enum qcow2_state state)
{
	static const char * const names[] = {
		[QCOW2_STATE_LIVE]	= "live",
		[QCOW2_STATE_FREEZING]	= "freezing",
		[QCOW2_STATE_FROZEN]	= "frozen",
		[QCOW2_STATE_THAWING]	= "thawing",
		[QCOW2_STATE_FAILED]	= "failed",
		[QCOW2_STATE_DETACHING]	= "detaching",
	};

	if (state >= ARRAY_SIZE(names) || !names[state])
		return "attaching";
	return names[state];
}

static int qcow2_disk_open(struct gendisk *disk, blk_mode_t mode)
{
	struct qcow2_dev *dev = disk->private_data;

	if (READ_ONCE(dev->state) == QCOW2_STATE_DETACHING)
		return -ENXIO;
	return 0;
}

static void qcow2_disk_last_close(struct gendisk *disk)
{
	struct qcow2_dev *dev = disk->private_data;

	if (!READ_ONCE(dev->deferred) || disk_openers(disk))
		return;
	/* del_gendisk() takes the lock that is held here. */
	refcount_inc(&dev->ref);
	if (!qcow2_dev_queue(&dev->detach_work))
		qcow2_dev_put(dev);
}

static void qcow2_disk_free(struct gendisk *disk)
{
	struct qcow2_dev *dev = disk->private_data;

	blk_mq_free_tag_set(&dev->tag_set);
	qcow2_dev_put(dev);
}

static const struct block_device_operations qcow2_disk_ops = {
	.owner		= THIS_MODULE,
	.open		= qcow2_disk_open,
	.release	= qcow2_disk_last_close,
	.free_disk	= qcow2_disk_free,
};

static ssize_t state_show(struct device *device, struct device_attribute *attr,
			  char *buf)
{
	struct qcow2_dev *dev = dev_to_disk(device)->private_data;

	return sysfs_emit(buf, "%s\n", qcow2_state_name(READ_ONCE(dev->state)));
}
static DEVICE_ATTR_RO(state);

static ssize_t reason_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	struct qcow2_dev *dev = dev_to_disk(device)->private_data;
	char reason[QCOW2_REASON_MAX];

	qcow2_dev_get_reason(dev, reason, sizeof(reason));
	return sysfs_emit(buf, "%s\n", reason);
}
static DEVICE_ATTR_RO(reason);

static ssize_t frozen_ms_show(struct device *device,
			      struct device_attribute *attr, char *buf)
{
	struct qcow2_dev *dev = dev_to_disk(device)->private_data;
	s64 ms = 0;

	/* A window that opens or closes just now may be seen half. */
	if (READ_ONCE(dev->state) == QCOW2_STATE_FROZEN)
		ms = ktime_ms_delta(ktime_get(), READ_ONCE(dev->window.since));
	return sysfs_emit(buf, "%lld\n", ms);
}
static DEVICE_ATTR_RO(frozen_ms);

static struct attribute *qcow2_disk_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_reason.attr,
	&dev_attr_frozen_ms.attr,
	NULL,
};

static const struct attribute_group qcow2_disk_group = {
	.name	= "qcow2",
	.attrs	= qcow2_disk_attrs,
};

static const struct attribute_group *qcow2_disk_groups[] = {
	&qcow2_disk_group,
	NULL,
};

static u32 qcow2_dma_align(struct qcow2_image *image)
{
	u32 i, align = QCOW2_SECTOR_BYTES;

	for (i = 0; i < image->chain->nr; i++)
		align = max3(align, image->layers[i].meta.dma_align,
			     image->layers[i].data->dma_align);
	return align;
}

/**
 * qcow2_disk_fits() - can an image take requests as the disk makes them?
 * @disk: exists
 * @image: is to serve it
 */
bool qcow2_disk_fits(struct gendisk *disk, struct qcow2_image *image)
{
	return image->block_size <= queue_logical_block_size(disk->queue) &&
	       qcow2_dma_align(image) - 1 <= queue_dma_alignment(disk->queue);
}

static void qcow2_disk_limits(struct qcow2_image *image,
			      struct queue_limits *lim)
{
	struct qcow2_layer *active = qcow2_active(image);
	u64 max_zero = min(qcow2_cluster_size(active) * QCOW2_MAX_ZERO_CLUSTERS,
			   (u64)QCOW2_MAX_ZERO_BYTES);

	lim->logical_block_size = image->block_size;
	/* Less than a page is written in place, unless clusters are smaller. */
	lim->physical_block_size =
		clamp_t(u32, BIT(qcow2_sub_bits(active)), image->block_size, SZ_4K);
	lim->io_opt = qcow2_cluster_size(active);
	lim->max_hw_sectors = QCOW2_MAX_IO_BYTES >> SECTOR_SHIFT;
	lim->max_segments = USHRT_MAX;
	lim->max_segment_size = UINT_MAX;
	lim->dma_alignment = qcow2_dma_align(image) - 1;
	lim->features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	/* Pages are sent as they are to what may take checksums of them. */
	if (qcow2_file_is_stable(active->data))
		lim->features |= BLK_FEAT_STABLE_WRITES;
	lim->max_write_zeroes_sectors = max_zero >> SECTOR_SHIFT;
	/* What is under a layer must not show through where it was discarded. */
	if (!qcow2_can_zero(image))
		return;
	lim->max_hw_discard_sectors = max_zero >> SECTOR_SHIFT;
	lim->max_discard_segments = 1;
	lim->discard_granularity = qcow2_cluster_size(active);
}

static int qcow2_disk_tags(struct qcow2_dev *dev)
{
	struct blk_mq_tag_set *set = &dev->tag_set;

	set->ops = &qcow2_mq_ops;
	set->nr_hw_queues = num_online_cpus();
	set->queue_depth = QCOW2_QUEUE_DEPTH;
	set->numa_node = NUMA_NO_NODE;
	set->cmd_size = sizeof(struct qcow2_req);
	/*
	 * Shared, else each processor would have as many, in memory that mostly
	 * idles. Stacking: a processor that goes does not wait for its requests,
	 * which may wait for the end of a window.
	 */
	set->flags = BLK_MQ_F_BLOCKING | BLK_MQ_F_NO_SCHED_BY_DEFAULT |
		     BLK_MQ_F_TAG_HCTX_SHARED | BLK_MQ_F_STACKING;
	return blk_mq_alloc_tag_set(set);
}

/**
 * qcow2_disk_add() - make /dev/qcow2N appear
 * @dev: has an image
 * @err: receives the reason in words
 *
 * Context: may sleep; partitions are read from the disk.
 * Return: 0 or a negative errno.
 */
int qcow2_disk_add(struct qcow2_dev *dev, struct qcow2_err *err)
{
	struct queue_limits lim = {};
	struct gendisk *disk;
	int ret;

	ret = qcow2_disk_tags(dev);
	if (ret)
		return qcow2_fail(err, ret, "not enough memory for the queues");
	qcow2_disk_limits(dev->image, &lim);
	disk = blk_mq_alloc_disk(&dev->tag_set, &lim, dev);
	if (IS_ERR(disk)) {
		blk_mq_free_tag_set(&dev->tag_set);
		return qcow2_fail(err, PTR_ERR(disk), "cannot make a disk (error %ld)",
				  PTR_ERR(disk));
	}
	/* From here on qcow2_disk_free() gives the tags back. */
	refcount_inc(&dev->ref);
	disk->fops = &qcow2_disk_ops;
	disk->private_data = dev;
	snprintf(disk->disk_name, DISK_NAME_LEN, QCOW2_NAME "%d", dev->index);
	set_capacity(disk, dev->image->size >> SECTOR_SHIFT);
	set_disk_ro(disk, dev->readonly);
	dev->disk = disk;
	ret = device_add_disk(NULL, disk, qcow2_disk_groups);
	if (!ret)
		return 0;
	qcow2_dev_forget_disk(dev);
	put_disk(disk);
	/* A disk that was never added is not freed by qcow2_disk_free(). */
	blk_mq_free_tag_set(&dev->tag_set);
	qcow2_dev_put(dev);
	return qcow2_fail(err, ret, "cannot add the disk (error %d)", ret);
}

static bool qcow2_count_started(struct request *rq, void *started)
{
	*(bool *)started = true;
	return false;
}

/* Are there requests that queue_rq has taken, and that have not ended? */
static bool qcow2_disk_busy(struct qcow2_dev *dev)
{
	bool started = false;

	blk_mq_tagset_busy_iter(&dev->tag_set, qcow2_count_started, &started);
	return started;
}

/**
 * qcow2_disk_hold() - let requests wait, and those end that do not
 * @dev: the device
 *
 * Context: may sleep; in a NOIO scope. The queue is quiesced when this returns,
 * not frozen, and what is parked stays so.
 */
void qcow2_disk_hold(struct qcow2_dev *dev)
{
	struct request_queue *q = dev->disk->queue;

	blk_mq_quiesce_queue(q);
	/*
	 * Not by freezing the queue, which would wait for requests that are
	 * parked, too.
	 */
	while (qcow2_disk_busy(dev))
		usleep_range(50, 500);
}

/**
 * qcow2_disk_release() - let requests go on
 * @dev: the device
 */
void qcow2_disk_release(struct qcow2_dev *dev)
{
	blk_mq_unquiesce_queue(dev->disk->queue);
}

static bool qcow2_part_is_beyond(struct block_device *part, u64 sectors)
{
	return part->bd_start_sect + bdev_nr_sectors(part) > sectors;
}

/**
 * qcow2_disk_used_beyond() - has somebody taken what lies at the end of the disk?
 * @dev: the device
 * @sectors: from where on
 *
 * Whoever takes a block device (a mount, device-mapper, swap) is its holder; to
 * have it open only is no use in this sense. Holders of a partition are counted as
 * holders of the disk, too.
 *
 * Context: any. Who takes it meanwhile is not seen.
 */
bool qcow2_disk_used_beyond(struct qcow2_dev *dev, u64 sectors)
{
	struct block_device *part;
	unsigned long partno;
	bool used = false;
	int holders = 0;

	rcu_read_lock();
	xa_for_each_start(&dev->disk->part_tbl, partno, part, 1) {
		/* Nobody takes a disk that is frozen without waiting for it. */
		int n = data_race(part->bd_holders);

		holders += n;
		used |= n && qcow2_part_is_beyond(part, sectors);
	}
	rcu_read_unlock();
	part = dev->disk->part0;
	/* As above. */
	return used || (data_race(part->bd_holders) > holders &&
			qcow2_part_is_beyond(part, sectors));
}

/**
 * qcow2_disk_claim() - if nobody has the disk open, let nobody open it
 * @dev: the device; its state becomes QCOW2_STATE_DETACHING
 *
 * In a window the lock may be held by somebody whose I/O waits for its end:
 * whoever holds it for long has the disk open.
 *
 * Context: may sleep.
 * Return: 0 or -EBUSY.
 */
int qcow2_disk_claim(struct qcow2_dev *dev)
{
	struct gendisk *disk = dev->disk;
	int tries = QCOW2_CLAIM_TRIES, ret = -EBUSY;

	if (disk_openers(disk))
		return ret;
	if (READ_ONCE(dev->state) != QCOW2_STATE_FROZEN)
		mutex_lock(&disk->open_mutex);
	while (READ_ONCE(dev->state) == QCOW2_STATE_FROZEN &&
	       !mutex_trylock(&disk->open_mutex)) {
		if (!tries--)
			return ret;
		usleep_range(1000, 2000);
	}
	if (!disk_openers(disk)) {
		WRITE_ONCE(dev->state, QCOW2_STATE_DETACHING);
		ret = 0;
	}
	mutex_unlock(&disk->open_mutex);
	return ret;
}
