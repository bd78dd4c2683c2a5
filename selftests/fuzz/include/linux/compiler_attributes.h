/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _FUZZ_LINUX_COMPILER_ATTRIBUTES_H
#define _FUZZ_LINUX_COMPILER_ATTRIBUTES_H

#define __printf(a, b)	__attribute__((format(printf, a, b)))

#endif
