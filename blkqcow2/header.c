// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of the active layer's header, and what the first write demands.
 *
 * Only single fields are changed, in the bytes that are in the file: what the
 * driver does not know of a header it does not touch.
 *
 * Before anything is written for the first time since attach or thaw,
 *
 *	- autoclear bits that are not understood are cleared: what they vouch for
 *	  will not be kept up
 *	- persistent bitmaps are marked as in use, as QEMU does while it changes an
 *	  image: nothing keeps them up to date, and no tool may trust them
 *	- the dirty bit is set if refcounts may lag (lazy refcounts)
 *
 * each durably. An image that is only read keeps its header.
 */
#include <linux/slab.h>
#include <linux/unaligned.h>
#include "qcow2.h"

/* Fields in the header, and in an entry of the bitmap directory. */
#define QCOW2_AT_REFTABLE	48
#define QCOW2_AT_INCOMPATIBLE	72
#define QCOW2_AT_AUTOCLEAR	88
#define QCOW2_BITMAP_FLAGS	12

#define QCOW2_BITMAP_IN_USE	BIT(0)

/**
 * qcow2_layer_patch() - change a few bytes of a layer's file
 * @layer: the active one
 * @pos: host offset in bytes
 * @from: new content
 * @len: bytes; they do not cross a sector
 *
 * Context: may sleep and do I/O; nobody else changes the block around them.
 * Return: 0 or a negative errno.
 */
static int qcow2_layer_patch(struct qcow2_layer *layer, u64 pos,
			     const void *from, size_t len)
{
	u32 align = layer->meta.direct ? layer->meta.dio_align : QCOW2_SECTOR_BYTES;
	u64 start = round_down(pos, (u64)align);
	u8 *buf = kmalloc(align, GFP_NOIO);
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = qcow2_io_buf(&layer->meta, ITER_DEST, start, buf, align);
	if (!ret) {
		memcpy(buf + (pos - start), from, len);
		ret = qcow2_io_buf(&layer->meta, ITER_SOURCE, start, buf, align);
	}
	kfree(buf);
	return ret;
}

/* Both feature fields lie in one sector: they change together or not at all. */
static int qcow2_header_features(struct qcow2_image *image, u64 incompatible,
				 u64 autoclear)
{
	struct qcow2_layer *layer = qcow2_active(image);
	u8 raw[QCOW2_AT_AUTOCLEAR + 8 - QCOW2_AT_INCOMPATIBLE];
	int ret;

	lockdep_assert_held(&image->header_lock);
	put_unaligned_be64(incompatible, raw);
	put_unaligned_be64(layer->header.compatible, raw + 8);
	put_unaligned_be64(autoclear, raw + 16);
	ret = qcow2_layer_patch(layer, QCOW2_AT_INCOMPATIBLE, raw, sizeof(raw));
	if (!ret)
		ret = qcow2_io_flush(&layer->meta);
	if (ret)
		return ret;
	WRITE_ONCE(image->incompatible, incompatible);
	WRITE_ONCE(image->autoclear, autoclear);
	return 0;
}

/**
 * qcow2_header_reftable() - have the header name a refcount table
 * @image: the image
 * @host: host offset of the table in bytes
 * @clusters: that it occupies
 *
 * Context: may sleep and do I/O. It is the caller's to flush.
 * Return: 0 or a negative errno.
 */
int qcow2_header_reftable(struct qcow2_image *image, u64 host, u32 clusters)
{
	u8 raw[12];
	int ret;

	put_unaligned_be64(host, raw);
	put_unaligned_be32(clusters, raw + 8);
	mutex_lock(&image->header_lock);
	ret = qcow2_layer_patch(qcow2_active(image), QCOW2_AT_REFTABLE, raw,
				sizeof(raw));
	mutex_unlock(&image->header_lock);
	return ret;
}

/* The entry at @pos of the bitmap directory, which ends at @end. */
static int qcow2_bitmap_mark(struct qcow2_layer *layer, u64 *pos, u64 end)
{
	u8 raw[QCOW2_BITMAP_ENTRY_MIN];
	u32 flags, bytes;
	int ret;

	if (end - *pos < sizeof(raw))
		return -EUCLEAN;
	ret = qcow2_layer_read(layer, *pos, raw, sizeof(raw));
	if (ret)
		return ret;
	bytes = qcow2_bitmap_entry_bytes(raw, end - *pos);
	if (!bytes)
		return -EUCLEAN;
	flags = get_unaligned_be32(raw + QCOW2_BITMAP_FLAGS);
	if (!(flags & QCOW2_BITMAP_IN_USE)) {
		put_unaligned_be32(flags | QCOW2_BITMAP_IN_USE, raw);
		ret = qcow2_layer_patch(layer, *pos + QCOW2_BITMAP_FLAGS, raw,
					sizeof(u32));
	}
	*pos += bytes;
	return ret;
}

static int qcow2_bitmaps_mark(struct qcow2_layer *layer)
{
	const struct qcow2_bitmaps *bitmaps = &layer->bitmaps;
	u64 pos = bitmaps->offset, end = pos + bitmaps->bytes;
	u32 i;
	int ret = 0;

	for (i = 0; i < bitmaps->nr && !ret; i++)
		ret = qcow2_bitmap_mark(layer, &pos, end);
	if (ret == -EUCLEAN) {
		qcow2_image_corrupt(layer, "bitmap directory", pos);
		ret = -EIO;
	}
	return ret;
}

/* While the directory changes, no autoclear bit vouches for it. */
static int qcow2_first_write(struct qcow2_image *image)
{
	struct qcow2_layer *layer = qcow2_active(image);
	/* As it was: an attempt before may have failed halfway. */
	u64 bitmaps = layer->bitmaps.nr ?
		      layer->header.autoclear & QCOW2_AUTOCLEAR_BITMAPS : 0;
	u64 autoclear = image->autoclear & QCOW2_AUTOCLEAR_RAW_DATA;
	u64 incompatible = image->incompatible |
			   (image->lazy ? QCOW2_INCOMPAT_DIRTY : 0);
	int ret = 0;

	if (autoclear != image->autoclear || incompatible != image->incompatible)
		ret = qcow2_header_features(image, incompatible, autoclear);
	if (ret || !bitmaps)
		return ret;
	ret = qcow2_bitmaps_mark(layer);
	if (!ret)
		ret = qcow2_io_flush(&layer->meta);
	if (!ret)
		ret = qcow2_header_features(image, incompatible,
					    autoclear | bitmaps);
	return ret;
}

/**
 * qcow2_image_begin_write() - something is about to be written
 * @image: the image, writable
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_image_begin_write(struct qcow2_image *image)
{
	int ret = 0;

	if (qcow2_image_may_write(image))
		return 0;
	mutex_lock(&image->header_lock);
	if (!qcow2_image_may_write(image)) {
		ret = qcow2_first_write(image);
		if (!ret) {
			/* Pairs with the acquire in qcow2_image_may_write(). */
			smp_store_release(&image->begun, true);
		}
	}
	mutex_unlock(&image->header_lock);
	return ret;
}

/**
 * qcow2_image_end_write() - all is written, refcounts included
 * @image: the image, without requests in flight, flushed
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_image_end_write(struct qcow2_image *image)
{
	int ret = 0;

	mutex_lock(&image->header_lock);
	if (image->begun && image->lazy) {
		/* Whatever becomes of it, the next write sets the bit again. */
		image->begun = false;
		WRITE_ONCE(image->incompatible,
			   image->incompatible & ~QCOW2_INCOMPAT_DIRTY);
		ret = qcow2_header_features(image, image->incompatible,
					    image->autoclear);
	}
	mutex_unlock(&image->header_lock);
	return ret;
}

/**
 * qcow2_header_mark_corrupt() - tell others what was found, if it was
 * @image: any
 *
 * A failure leaves it untold: the next one to look will find it as well.
 *
 * Context: may sleep and do I/O.
 */
void qcow2_header_mark_corrupt(struct qcow2_image *image)
{
	if (!READ_ONCE(image->corrupt) ||
	    qcow2_active(image)->header.version < 3)
		return;
	mutex_lock(&image->header_lock);
	if (!(image->incompatible & QCOW2_INCOMPAT_CORRUPT))
		qcow2_header_features(image,
				      image->incompatible | QCOW2_INCOMPAT_CORRUPT,
				      image->autoclear);
	mutex_unlock(&image->header_lock);
}
