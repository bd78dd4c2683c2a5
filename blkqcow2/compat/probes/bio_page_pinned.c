// SPDX-License-Identifier: GPL-2.0-only
/* v6.5, fd363244e883: block: Add BIO_PAGE_PINNED and associated infrastructure */
#include <linux/bio.h>
int f(void);
int f(void) { return BIO_PAGE_PINNED; }
