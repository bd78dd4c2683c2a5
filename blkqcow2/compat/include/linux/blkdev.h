/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BLKDEV_H
#define _COMPAT_LINUX_BLKDEV_H

#include_next <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/rcupdate.h>
#include <compat_config.h>

#if defined(COMPAT_PLUG_CACHED_TS)
/* A plug has no time cached. */
static inline void blk_plug_invalidate_ts(void)
{
}
#elif defined(COMPAT_PLUG_INVALIDATE_TS)
#define blk_plug_invalidate_ts()	blk_plug_invalidate_ts(current)
#endif

#if defined(COMPAT_BDEV_FREEZE) && defined(COMPAT_FREEZE_SUPER_HOLDER)
/* Frozen, not just about to be? A superblock is freed by RCU. */
static inline bool compat_bdev_is_frozen(struct block_device *bdev)
{
	const struct super_block *sb;
	bool frozen;

	rcu_read_lock();
	sb = READ_ONCE(bdev->bd_super);
	frozen = sb && READ_ONCE(sb->s_writers.frozen) == SB_FREEZE_COMPLETE;
	rcu_read_unlock();
	return frozen;
}

/*
 * Freezes do not nest. A file system that is frozen already, by an ioctl, was written
 * back then and is left to whoever froze it; what it may write when it is thawed in a
 * window waits there.
 */
static inline int bdev_freeze(struct block_device *bdev)
{
	int ret = freeze_bdev(bdev);

	if (ret != -EBUSY || !compat_bdev_is_frozen(bdev))
		return ret;
	return sync_blockdev(bdev);
}

static inline int bdev_thaw(struct block_device *bdev)
{
	/* Of those that were left alone nothing is counted. */
	return READ_ONCE(bdev->bd_fsfreeze_count) ? thaw_bdev(bdev) : 0;
}
#elif defined(COMPAT_BDEV_FREEZE)
static inline int bdev_freeze(struct block_device *bdev)
{
	return freeze_bdev(bdev);
}

static inline int bdev_thaw(struct block_device *bdev)
{
	return thaw_bdev(bdev);
}
#endif

#ifdef COMPAT_BLK_MODE_T
typedef unsigned int __bitwise blk_mode_t;

/*
 * The driver's functions under other names, called by ones with the old arguments:
 * these macros are for where the functions are defined, not for where their names
 * alone are used.
 */
#define qcow2_disk_open(disk, mode)					\
	compat_disk_open(disk, mode);					\
static int qcow2_disk_open(struct block_device *bdev, fmode_t fmode)	\
{									\
	return compat_disk_open(bdev->bd_disk, (__force blk_mode_t)fmode); \
}									\
static int compat_disk_open(disk, mode)

#define qcow2_disk_last_close(disk)					\
	compat_disk_last_close(disk);					\
static void qcow2_disk_last_close(struct gendisk *closed, fmode_t fmode) \
{									\
	compat_disk_last_close(closed);					\
}									\
static void compat_disk_last_close(disk)
#endif

#endif
