/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BLKDEV_H
#define _COMPAT_LINUX_BLKDEV_H

#include_next <linux/blkdev.h>
#include <compat_config.h>

#if defined(COMPAT_PLUG_CACHED_TS)
/* A plug has no time cached. */
static inline void blk_plug_invalidate_ts(void)
{
}
#elif defined(COMPAT_PLUG_INVALIDATE_TS)
#define blk_plug_invalidate_ts()	blk_plug_invalidate_ts(current)
#endif

#endif
