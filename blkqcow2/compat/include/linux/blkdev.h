/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BLKDEV_H
#define _COMPAT_LINUX_BLKDEV_H

#include_next <linux/blkdev.h>
#include <compat_config.h>

#ifdef COMPAT_PLUG_INVALIDATE_TS
static inline void blk_plug_invalidate_ts(void)
{
}
#endif

#endif
