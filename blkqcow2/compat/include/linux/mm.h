/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_MM_H
#define _COMPAT_LINUX_MM_H

#include_next <linux/mm.h>
#include <compat_config.h>

#ifdef COMPAT_LARGE_KMALLOC
/* What large kmalloc() gives has references like any other memory there. */
static inline bool folio_test_large_kmalloc(const struct folio *folio)
{
	return false;
}
#endif

#endif
