/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_BIO_H
#define _COMPAT_LINUX_BIO_H

#include_next <linux/bio.h>
#include <linux/page-flags.h>
#include <compat_config.h>

#ifdef COMPAT_BIO_PAGE_PINNED
#define BIO_PAGE_PINNED		BIO_FLAG_LAST

/*
 * No flag says that the pages of a bio are a user's own, pinned for direct I/O, but
 * anonymous memory tells. Who writes or reads it otherwise does so for swap, when it
 * is in the swap cache, or is not anonymous yet. What a user has mapped of a file or
 * of shared memory is not recognized, and takes the worker.
 *
 * As clones have not got the flag, they are not asked, nor are bios made of
 * somebody's bvecs (loop, splice), which are marked as clones: they are submitted by
 * others than the user.
 */
static inline bool compat_bio_is_users(struct bio *bio)
{
	struct page *page;

	if (bio->bi_flags & (BIT(BIO_CLONED) | BIT(BIO_NO_PAGE_REF)) ||
	    !bio_has_data(bio))
		return false;
	page = bio_page(bio);
	return PageAnon(page) && !PageSwapCache(page);
}

static inline bool compat_bio_flagged(struct bio *bio, unsigned int bit)
{
	return bit == BIO_PAGE_PINNED ? compat_bio_is_users(bio) :
					bio_flagged(bio, bit);
}

#define bio_flagged(bio, bit)	compat_bio_flagged(bio, bit)
#endif

#endif
