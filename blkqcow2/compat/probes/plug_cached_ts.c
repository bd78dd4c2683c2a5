// SPDX-License-Identifier: GPL-2.0-only
/* v6.9, 06b23f92af87: block: update cached timestamp post schedule/preemption */
#include <linux/sched.h>
int f(void);
int f(void) { return PF_BLOCK_TS; }
