/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BVEC_H
#define _COMPAT_LINUX_BVEC_H

#include_next <linux/bvec.h>
#include <compat_config.h>

#ifdef COMPAT_BVEC_ITER_OFFSET
#define bi_offset	bi_bvec_done
#endif

#ifdef COMPAT_BVEC_SET_VIRT
/* For memory that virt_to_page() knows, as the original. */
#define bvec_set_virt(bv, vaddr, len)					\
({									\
	void *__vaddr = (vaddr);					\
									\
	bvec_set_page(bv, virt_to_page(__vaddr), len,			\
		      offset_in_page(__vaddr));				\
})
#endif

#endif
