// SPDX-License-Identifier: GPL-2.0-only
/* without an argument: v6.13, and v6.12-stable */
#include <linux/blkdev.h>
void f(void);
void f(void) { blk_plug_invalidate_ts(); }
