// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for file I/O.
 *
 * For copy-on-write a few buffers are kept while they are in use time and again:
 * the kernel may clear what it hands out, which takes as long as the copy itself.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "qcow2.h"

/**
 * qcow2_buf_alloc() - memory that a file system can be given for direct I/O
 * @bytes: how many
 * @gfp: as for kmalloc(), and may it be cleared
 *
 * Who sends pages over a network takes references to them, which memory of
 * kmalloc() does not have; less than a page is such memory.
 *
 * Context: as @gfp says.
 * Return: the buffer, aligned to its size if that is a power of two and no more
 * than a page; for qcow2_buf_free(). Or NULL.
 */
void *qcow2_buf_alloc(size_t bytes, gfp_t gfp)
{
	struct folio *folio;

	if (bytes < PAGE_SIZE)
		return kmalloc(bytes, gfp);
	folio = folio_alloc(gfp, get_order(bytes));
	return folio ? folio_address(folio) : NULL;
}

/**
 * qcow2_buf_free() - free what qcow2_buf_alloc() gave
 * @buf: it, or NULL
 *
 * Context: any.
 */
void qcow2_buf_free(void *buf)
{
	if (!buf)
		return;
	if (folio_test_slab(virt_to_folio(buf)))
		kfree(buf);
	else
		folio_put(virt_to_folio(buf));
}

static void *qcow2_copy_get(gfp_t gfp, void *unused)
{
	return qcow2_buf_alloc(QCOW2_BOUNCE_BYTES, gfp);
}

static void qcow2_copy_put(void *buf, void *unused)
{
	qcow2_buf_free(buf);
}

/**
 * qcow2_copies_init() - set up buffers of QCOW2_BOUNCE_BYTES of which none is kept
 * @copies: zeroed
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int qcow2_copies_init(mempool_t *copies)
{
	return mempool_init(copies, 1, qcow2_copy_get, qcow2_copy_put, NULL);
}

static void *qcow2_bounce_get(gfp_t gfp, void *data)
{
	struct qcow2_bounces *bounces = data;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bounces->spare); i++) {
		void *buf = READ_ONCE(bounces->spare[i]);

		if (buf && cmpxchg(&bounces->spare[i], buf, NULL) == buf)
			return buf;
	}
	return qcow2_buf_alloc(QCOW2_BOUNCE_BYTES, gfp);
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
	qcow2_buf_free(buf);
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
		qcow2_buf_free(xchg(&bounces->spare[i], NULL));
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
