// SPDX-License-Identifier: GPL-2.0-only
/* v6.5, 05bdb9965305 + d32e2bf83791 + ae220766d87c */
#include <linux/blkdev.h>
static int o(struct gendisk *d, blk_mode_t m) { return 0; }
static void r(struct gendisk *d) { }
static const struct block_device_operations ops = { .open = o, .release = r };
const void *f(void);
const void *f(void) { return &ops; }
