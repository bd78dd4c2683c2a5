// SPDX-License-Identifier: GPL-2.0-only
/* must always compile */
#include <linux/module.h>
#include <linux/blk-mq.h>
