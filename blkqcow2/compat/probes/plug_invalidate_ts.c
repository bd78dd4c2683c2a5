// SPDX-License-Identifier: GPL-2.0-only
/* v6.9, 06b23f92af87: block: update cached timestamp post schedule/preemption */
#include <linux/blkdev.h>
void f(void);
void f(void) { blk_plug_invalidate_ts(); }
