/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the decoders take from the kernel, for a build in userspace.
 */
#ifndef _FORMAT_USER_H
#define _FORMAT_USER_H

#include <errno.h>
#include <linux/types.h>

#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK_ULL(h, l)	((~0ULL >> (63 - (h))) & (~0ULL << (l)))
#define S64_MAX			INT64_MAX

#define min_t(type, a, b)	({ type x_ = (a), y_ = (b); x_ < y_ ? x_ : y_; })
#define min(a, b)		min_t(__typeof__((a) + (b)), a, b)

#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)

static inline u32 __ffs(unsigned long word)
{
	return __builtin_ctzl(word);
}

static inline u32 __ffs64(u64 word)
{
	return __builtin_ctzll(word);
}

static inline u16 get_unaligned_be16(const void *p)
{
	const u8 *b = p;

	return b[0] << 8 | b[1];
}

static inline u32 get_unaligned_be32(const void *p)
{
	const u8 *b = p;

	return (u32)get_unaligned_be16(b) << 16 | get_unaligned_be16(b + 2);
}

static inline u64 get_unaligned_be64(const void *p)
{
	const u8 *b = p;

	return (u64)get_unaligned_be32(b) << 32 | get_unaligned_be32(b + 4);
}

static inline void put_unaligned_be16(u16 value, void *p)
{
	u8 *b = p;

	b[0] = value >> 8;
	b[1] = value;
}

static inline void put_unaligned_be32(u32 value, void *p)
{
	u8 *b = p;

	put_unaligned_be16(value >> 16, b);
	put_unaligned_be16(value, b + 2);
}

static inline void put_unaligned_be64(u64 value, void *p)
{
	u8 *b = p;

	put_unaligned_be32(value >> 32, b);
	put_unaligned_be32(value, b + 4);
}

#include "qcow2_err.h"

#endif
