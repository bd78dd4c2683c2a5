// SPDX-License-Identifier: GPL-2.0-only
/* v7.0, 69050f8d6d07 + e19e1b480ac7 */
#include <linux/slab.h>
void *f(void);
void *f(void) { struct list_head *p = kzalloc_obj(*p); return p; }
