/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <linux/shrinker.h>
#include <compat_config.h>

/*
 * The driver's shrinkers are another struct, with a kernel's one inside. Headers of
 * the kernel include this file, too, and are to go on as they are: only a file of the
 * driver that includes it itself gets the shim, after all headers that have a shrinker
 * as a member.
 */
#if defined(COMPAT_SHRINKER_ALLOC) && __INCLUDE_LEVEL__ == 1
#ifndef _COMPAT_LINUX_SHRINKER_H
#define _COMPAT_LINUX_SHRINKER_H

#include <linux/fs.h>
#include <linux/list_lru.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/stdarg.h>

/**
 * struct compat_shrinker - a shrinker as since v6.7
 * @count_objects: of the driver
 * @scan_objects: of the driver
 * @private_data: of the driver
 * @live: shrinker_register() has been called
 * @name: of the shrinker
 * @real: what the kernel knows
 */
struct compat_shrinker {
	unsigned long (*count_objects)(struct compat_shrinker *shrinker,
				       struct shrink_control *sc);
	unsigned long (*scan_objects)(struct compat_shrinker *shrinker,
				      struct shrink_control *sc);
	void *private_data;
	bool live;
	char name[32];
	struct shrinker real;
};

static inline unsigned long compat_shrinker_count(struct shrinker *real,
						  struct shrink_control *sc)
{
	struct compat_shrinker *shrinker =
		container_of(real, struct compat_shrinker, real);

	/* Pairs with the release in compat_shrinker_register(). */
	if (!smp_load_acquire(&shrinker->live))
		return SHRINK_EMPTY;
	return shrinker->count_objects(shrinker, sc);
}

/* Called only after the other one has found something, so it is live. */
static inline unsigned long compat_shrinker_scan(struct shrinker *real,
						 struct shrink_control *sc)
{
	struct compat_shrinker *shrinker =
		container_of(real, struct compat_shrinker, real);

	return shrinker->scan_objects(shrinker, sc);
}

/*
 * Registered at once, because that is what needs memory and can fail; until
 * shrinker_register() it has nothing to give.
 */
static inline __printf(2, 3) struct compat_shrinker *
compat_shrinker_alloc(unsigned int flags, const char *fmt, ...)
{
	struct compat_shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);
	va_list args;

	if (!shrinker)
		return NULL;
	va_start(args, fmt);
	vsnprintf(shrinker->name, sizeof(shrinker->name), fmt, args);
	va_end(args);
	shrinker->real.count_objects = compat_shrinker_count;
	shrinker->real.scan_objects = compat_shrinker_scan;
	shrinker->real.seeks = DEFAULT_SEEKS;
	shrinker->real.flags = flags;
	if (!register_shrinker(&shrinker->real, "%s", shrinker->name))
		return shrinker;
	kfree(shrinker);
	return NULL;
}

static inline void compat_shrinker_register(struct compat_shrinker *shrinker)
{
	/* Pairs with the acquire in compat_shrinker_count(). */
	smp_store_release(&shrinker->live, true);
}

static inline void compat_shrinker_free(struct compat_shrinker *shrinker)
{
	if (!shrinker)
		return;
	unregister_shrinker(&shrinker->real);
	kfree(shrinker);
}

#define shrinker		compat_shrinker
#define shrinker_alloc		compat_shrinker_alloc
#define shrinker_register	compat_shrinker_register
#define shrinker_free		compat_shrinker_free

#endif
#endif
