/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_UNALIGNED_H
#define _COMPAT_LINUX_UNALIGNED_H

#include <compat_config.h>

#ifdef COMPAT_LINUX_UNALIGNED_H
#include <asm/unaligned.h>
#else
#include_next <linux/unaligned.h>
#endif

#endif
