// SPDX-License-Identifier: GPL-2.0-only
/* v6.7, c42d50aefd17: mm: shrinker: add infrastructure for dynamically allocating shrinker */
#include <linux/shrinker.h>
struct shrinker *f(void);
struct shrinker *f(void) { return shrinker_alloc(0, "x"); }
