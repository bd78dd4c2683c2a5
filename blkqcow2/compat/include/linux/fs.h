/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_FS_H
#define _COMPAT_LINUX_FS_H

#include_next <linux/fs.h>
#include <compat_config.h>

#ifdef COMPAT_FREEZE_SUPER_HOLDER
#define FREEZE_HOLDER_USERSPACE	0
#endif

/*
 * Where freezes do not nest, what somebody else has frozen cannot be frozen once
 * more, but fails with -EBUSY.
 */
#if defined(COMPAT_FREEZE_SUPER_HOLDER) || defined(COMPAT_FREEZE_MAY_NEST)
#define FREEZE_MAY_NEST		0
#endif

#if defined(COMPAT_FREEZE_SUPER_HOLDER)
static inline int compat_freeze_super(struct super_block *sb, int who,
				      const void *owner)
{
	return freeze_super(sb);
}

static inline int compat_thaw_super(struct super_block *sb, int who,
				    const void *owner)
{
	return thaw_super(sb);
}
#elif defined(COMPAT_FREEZE_SUPER_OWNER)
static inline int compat_freeze_super(struct super_block *sb,
				      enum freeze_holder who, const void *owner)
{
	return freeze_super(sb, who);
}

static inline int compat_thaw_super(struct super_block *sb,
				    enum freeze_holder who, const void *owner)
{
	return thaw_super(sb, who);
}
#endif

#ifdef COMPAT_FREEZE_SUPER_OWNER
#define freeze_super(sb, who, owner)	compat_freeze_super(sb, who, owner)
#define thaw_super(sb, who, owner)	compat_thaw_super(sb, who, owner)
#endif

#endif
