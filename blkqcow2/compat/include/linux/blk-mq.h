/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BLK_MQ_H
#define _COMPAT_LINUX_BLK_MQ_H

#include_next <linux/blk-mq.h>
#include <linux/err.h>
#include <compat_config.h>

#ifdef COMPAT_IMPLICIT_MERGE
#define BLK_MQ_F_BLOCKING	(BLK_MQ_F_BLOCKING | BLK_MQ_F_SHOULD_MERGE)
#endif

#ifdef COMPAT_QUEUE_LIMITS_ALLOC
typedef unsigned int __bitwise blk_features_t;

#define BLK_FEAT_WRITE_CACHE	((__force blk_features_t)BIT(0))
#define BLK_FEAT_FUA		((__force blk_features_t)BIT(1))
#define BLK_FEAT_STABLE_WRITES	((__force blk_features_t)BIT(2))

/* What the driver sets, not more, so that nothing else is ignored in silence. */
struct compat_queue_limits {
	blk_features_t features;
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int io_opt;
	unsigned int max_hw_sectors;
	unsigned int max_segment_size;
	unsigned int dma_alignment;
	unsigned int max_write_zeroes_sectors;
	unsigned int max_hw_discard_sectors;
	unsigned int discard_granularity;
	unsigned short max_segments;
	unsigned short max_discard_segments;
};

static inline void compat_set_limits(struct request_queue *q,
				     const struct compat_queue_limits *lim)
{
	/* The blocks first: others are rounded to them. */
	blk_queue_logical_block_size(q, lim->logical_block_size);
	blk_queue_physical_block_size(q, lim->physical_block_size);
	blk_queue_io_opt(q, lim->io_opt);
	blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
	blk_queue_max_segments(q, lim->max_segments);
	blk_queue_max_segment_size(q, lim->max_segment_size);
	blk_queue_dma_alignment(q, lim->dma_alignment);
	blk_queue_write_cache(q, lim->features & BLK_FEAT_WRITE_CACHE,
			      lim->features & BLK_FEAT_FUA);
	blk_queue_max_write_zeroes_sectors(q, lim->max_write_zeroes_sectors);
	blk_queue_max_discard_sectors(q, lim->max_hw_discard_sectors);
	if (lim->max_discard_segments)
		blk_queue_max_discard_segments(q, lim->max_discard_segments);
	q->limits.discard_granularity = lim->discard_granularity;
	if (lim->features & BLK_FEAT_STABLE_WRITES)
		blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, q);
	/* BLK_FEAT_ROTATIONAL is not set, which is not the default here. */
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
}

/* Nobody can have opened the disk yet: as good as if it had been made so. */
static inline struct gendisk *
compat_limit_disk(struct gendisk *disk, const struct compat_queue_limits *lim)
{
	if (!IS_ERR(disk))
		compat_set_limits(disk->queue, lim);
	return disk;
}

#undef blk_mq_alloc_disk
#define blk_mq_alloc_disk(set, lim, queuedata)				\
({									\
	static struct lock_class_key __key;				\
									\
	compat_limit_disk(__blk_mq_alloc_disk(set, queuedata, &__key),	\
			  lim);						\
})

/* All headers that have one as a member have been included. */
#define queue_limits	compat_queue_limits
#endif

#endif
