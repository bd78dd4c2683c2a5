// SPDX-License-Identifier: GPL-2.0-only
/* v6.8: freezes of a file system nest */
#include <linux/fs.h>
int f(void);
int f(void) { return FREEZE_MAY_NEST; }
