// SPDX-License-Identifier: GPL-2.0-only
/* v6.14: BLK_MQ_F_SHOULD_MERGE removed, merging is the default */
#include <linux/blk-mq.h>
static int BLK_MQ_F_SHOULD_MERGE;
int f(void);
int f(void) { return BLK_MQ_F_SHOULD_MERGE; }
