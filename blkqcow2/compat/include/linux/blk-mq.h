/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BLK_MQ_H
#define _COMPAT_LINUX_BLK_MQ_H

#include_next <linux/blk-mq.h>
#include <compat_config.h>

#ifdef COMPAT_IMPLICIT_MERGE
#define BLK_MQ_F_BLOCKING	(BLK_MQ_F_BLOCKING | BLK_MQ_F_SHOULD_MERGE)
#endif

#endif
