// SPDX-License-Identifier: GPL-2.0-only
/* v6.15: pages of large kmalloc() are marked, and have no references */
#include <linux/mm.h>
bool f(const struct folio *folio);
bool f(const struct folio *folio) { return folio_test_large_kmalloc(folio); }
