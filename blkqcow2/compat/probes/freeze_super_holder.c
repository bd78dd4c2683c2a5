// SPDX-License-Identifier: GPL-2.0-only
/* v6.6, 880b9577855e: fs: distinguish between user initiated freeze and kernel initiated freeze */
#include <linux/fs.h>
int f(void);
int f(void) { return FREEZE_HOLDER_USERSPACE; }
