/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_SLAB_H
#define _COMPAT_LINUX_SLAB_H

#include_next <linux/slab.h>
#include <compat_config.h>

#ifdef COMPAT_KMALLOC_OBJ
#define compat_gfp(dummy, gfp, ...)	(gfp)
#define kmalloc_obj(obj, ...) \
	((typeof(obj) *)kmalloc(sizeof(obj), \
		compat_gfp(0, ##__VA_ARGS__, GFP_KERNEL)))
#define kzalloc_obj(obj, ...) \
	((typeof(obj) *)kzalloc(sizeof(obj), \
		compat_gfp(0, ##__VA_ARGS__, GFP_KERNEL)))
#endif

#endif
