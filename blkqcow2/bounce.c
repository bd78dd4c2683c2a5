// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers for copy-on-write.
 *
 * The kernel may clear what it hands out, which takes as long as the copy that
 * the buffer is for. So a few are kept while they are in use time and again.
 */
#include <linux/slab.h>
#include "qcow2.h"

static void *qcow2_bounce_get(gfp_t gfp, void *data)
{
	struct qcow2_bounces *bounces = data;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bounces->spare); i++) {
		void *buf = READ_ONCE(bounces->spare[i]);

		if (buf && cmpxchg(&bounces->spare[i], buf, NULL) == buf)
			return buf;
	}
	return kmalloc(QCOW2_BOUNCE_BYTES, gfp);
}

static void qcow2_bounce_put(void *buf, void *data)
{
	struct qcow2_bounces *bounces = data;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bounces->spare); i++) {
		if (!READ_ONCE(bounces->spare[i]) &&
		    !cmpxchg(&bounces->spare[i], NULL, buf))
			return;
	}
	kfree(buf);
}

/**
 * qcow2_bounces_init() - set up the buffers of an image
 * @bounces: zeroed
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int qcow2_bounces_init(struct qcow2_bounces *bounces)
{
	return mempool_init(&bounces->pool, 1, qcow2_bounce_get,
			    qcow2_bounce_put, bounces);
}

/**
 * qcow2_bounces_trim() - give back what is not in use
 * @bounces: the buffers
 *
 * Context: any.
 */
void qcow2_bounces_trim(struct qcow2_bounces *bounces)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bounces->spare); i++)
		kfree(xchg(&bounces->spare[i], NULL));
}

/**
 * qcow2_bounces_exit() - give all of them back
 * @bounces: none is in use; or zeroed
 */
void qcow2_bounces_exit(struct qcow2_bounces *bounces)
{
	mempool_exit(&bounces->pool);
	qcow2_bounces_trim(bounces);
}
