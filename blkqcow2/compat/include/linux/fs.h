/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_FS_H
#define _COMPAT_LINUX_FS_H

#include_next <linux/fs.h>
#include <compat_config.h>

#ifdef COMPAT_FREEZE_SUPER_OWNER
#define freeze_super(sb, who, owner)	freeze_super(sb, who)
#define thaw_super(sb, who, owner)	thaw_super(sb, who)
#endif

#endif
