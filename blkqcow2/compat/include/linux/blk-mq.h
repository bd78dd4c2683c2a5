/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BLK_MQ_H
#define _COMPAT_LINUX_BLK_MQ_H

#include_next <linux/blk-mq.h>
#include <compat_config.h>

#ifdef COMPAT_IMPLICIT_MERGE
#define BLK_MQ_F_BLOCKING	(BLK_MQ_F_BLOCKING | BLK_MQ_F_SHOULD_MERGE)
#endif

#ifdef COMPAT_FREEZE_MEMFLAGS
#include <linux/sched/mm.h>

static inline unsigned int compat_freeze_queue(struct request_queue *q)
{
	unsigned int memflags = memalloc_noio_save();

	blk_mq_freeze_queue(q);
	return memflags;
}

static inline void compat_unfreeze_queue(struct request_queue *q,
					 unsigned int memflags)
{
	blk_mq_unfreeze_queue(q);
	memalloc_noio_restore(memflags);
}

#define blk_mq_freeze_queue(q)			compat_freeze_queue(q)
#define blk_mq_unfreeze_queue(q, memflags)	compat_unfreeze_queue(q, memflags)
#endif

#endif
