// SPDX-License-Identifier: GPL-2.0-only
/* v6.9, 27e32cd23fed: block: pass a queue_limits argument to blk_mq_alloc_disk */
#include <linux/blk-mq.h>
void *f(struct blk_mq_tag_set *s, struct queue_limits *l);
void *f(struct blk_mq_tag_set *s, struct queue_limits *l) { return blk_mq_alloc_disk(s, l, NULL); }
