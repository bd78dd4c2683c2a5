// SPDX-License-Identifier: GPL-2.0-only
/* v6.14, 1e1a9cecfab3: block: force noio scope in blk_mq_freeze_queue */
#include <linux/blk-mq.h>
void f(struct request_queue *q);
void f(struct request_queue *q) { unsigned int m = blk_mq_freeze_queue(q); blk_mq_unfreeze_queue(q, m); }
