// SPDX-License-Identifier: GPL-2.0-only
/* v6.3, d58cdfae6a22: block: factor out a bvec_set_page helper, and what follows it */
#include <linux/bvec.h>
void f(struct bio_vec *bv, void *p);
void f(struct bio_vec *bv, void *p) { bvec_set_virt(bv, p, 1); }
