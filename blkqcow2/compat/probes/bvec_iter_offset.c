// SPDX-License-Identifier: GPL-2.0-only
/* v7.3: bi_bvec_done renamed to bi_offset */
#include <linux/bvec.h>
unsigned int f(struct bvec_iter *i);
unsigned int f(struct bvec_iter *i) { return i->bi_offset; }
