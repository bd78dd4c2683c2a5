// SPDX-License-Identifier: GPL-2.0-only
/* v6.8, 982c3b305843: bdev: rename freeze and thaw helpers */
#include <linux/blkdev.h>
int f(struct block_device *b);
int f(struct block_device *b) { return bdev_freeze(b) ?: bdev_thaw(b); }
