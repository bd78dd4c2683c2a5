/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BVEC_H
#define _COMPAT_LINUX_BVEC_H

#include_next <linux/bvec.h>
#include <compat_config.h>

#ifdef COMPAT_BVEC_ITER_OFFSET
#define bi_offset	bi_bvec_done
#endif

#endif
