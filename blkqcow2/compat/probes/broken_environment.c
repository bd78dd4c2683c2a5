// SPDX-License-Identifier: GPL-2.0-only
/* must never compile */
#include <linux/module.h>
int f(void);
int f(void) { return blkqcow2_no_such_function(); }
