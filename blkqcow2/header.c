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
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/unaligned.h>
#include "qcow2.h"

/* Fields in the header, and in an entry of the bitmap directory. */
#define QCOW2_AT_REFTABLE	48
#define QCOW2_AT_INCOMPATIBLE	72
#define QCOW2_AT_AUTOCLEAR	88
#define QCOW2_BITMAP_FLAGS	12

#define QCOW2_BITMAP_IN_USE	BIT(0)

/* The directory is read in such pieces: two blocks of any file and more. */
#define QCOW2_BITMAPS_PIECE	SZ_32K

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
	u8 *buf = qcow2_buf_alloc(PAGE_SIZE, GFP_NOIO);
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = qcow2_io_buf(&layer->meta, ITER_DEST, start, buf, align);
	if (!ret) {
		memcpy(buf + (pos - start), from, len);
		ret = qcow2_io_buf(&layer->meta, ITER_SOURCE, start, buf, align);
	}
	qcow2_buf_free(buf);
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
	image->header_unknown = true;
	ret = qcow2_layer_patch(layer, QCOW2_AT_INCOMPATIBLE, raw, sizeof(raw));
	if (!ret)
		ret = qcow2_io_flush(&layer->meta);
	if (ret)
		return ret;
	WRITE_ONCE(image->incompatible, incompatible);
	WRITE_ONCE(image->autoclear, autoclear);
	image->header_unknown = false;
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

/**
 * struct qcow2_bitmaps_walk - the way through the bitmap directory
 * @layer: whose directory it is
 * @mark: mark the bitmaps as in use; else only look whether it is valid
 * @left: entries that are left
 * @pos: host offset of the next one
 * @end: and of the end of the directory
 */
struct qcow2_bitmaps_walk {
	struct qcow2_layer *layer;
	bool mark;
	u32 left;
	u64 pos;
	u64 end;
};

/*
 * The entries whose fixed part lies in @piece, which is what the file has from
 * @start to @stop. Return whether any of them has changed, or a negative errno.
 */
static int qcow2_bitmaps_piece(struct qcow2_bitmaps_walk *walk, u8 *piece,
			       u64 start, u64 stop)
{
	bool changed = false;

	while (walk->left && walk->pos + QCOW2_BITMAP_ENTRY_MIN <= stop) {
		u8 *entry = piece + (walk->pos - start);
		u64 bytes = qcow2_bitmap_entry_bytes(entry, walk->end - walk->pos);
		u32 flags = get_unaligned_be32(entry + QCOW2_BITMAP_FLAGS);

		if (!bytes)
			return -EUCLEAN;
		if (walk->mark && !(flags & QCOW2_BITMAP_IN_USE)) {
			put_unaligned_be32(flags | QCOW2_BITMAP_IN_USE,
					   entry + QCOW2_BITMAP_FLAGS);
			changed = true;
		}
		walk->pos += bytes;
		walk->left--;
	}
	return changed;
}

/* One piece of the directory after the other, read and written as a whole. */
static int qcow2_bitmaps_walk(struct qcow2_bitmaps_walk *walk, u8 *piece)
{
	struct qcow2_file *file = &walk->layer->meta;
	u32 align = file->direct ? file->dio_align : QCOW2_SECTOR_BYTES;
	int ret = 0;

	while (walk->left && !ret) {
		u64 start = round_down(walk->pos, (u64)align);
		size_t n = min_t(u64, round_up(walk->end - start, (u64)align),
				 QCOW2_BITMAPS_PIECE);

		if (walk->end - walk->pos < QCOW2_BITMAP_ENTRY_MIN)
			return -EUCLEAN;
		ret = qcow2_io_buf(file, ITER_DEST, start, piece, n);
		if (!ret)
			ret = qcow2_bitmaps_piece(walk, piece, start,
						  min(start + n, walk->end));
		if (ret > 0)
			ret = qcow2_io_buf(file, ITER_SOURCE, start, piece, n);
		cond_resched();
	}
	return ret;
}

static int qcow2_bitmaps_each(struct qcow2_layer *layer, bool mark)
{
	const struct qcow2_bitmaps *bitmaps = &layer->bitmaps;
	struct qcow2_bitmaps_walk walk = {
		.layer = layer,
		.mark = mark,
		.left = bitmaps->nr,
		.pos = bitmaps->offset,
		.end = bitmaps->offset + bitmaps->bytes,
	};
	u8 *piece = qcow2_buf_alloc(QCOW2_BITMAPS_PIECE, GFP_NOIO);
	int ret;

	if (!piece)
		return -ENOMEM;
	ret = qcow2_bitmaps_walk(&walk, piece);
	qcow2_buf_free(piece);
	if (ret == -EUCLEAN) {
		qcow2_image_corrupt(layer, "bitmap directory", walk.pos);
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

	/* Nothing is written if the directory is not what it is said to be. */
	if (bitmaps)
		ret = qcow2_bitmaps_each(layer, false);
	if (!ret && (image->header_unknown || autoclear != image->autoclear ||
		     incompatible != image->incompatible))
		ret = qcow2_header_features(image, incompatible, autoclear);
	if (ret || !bitmaps)
		return ret;
	ret = qcow2_bitmaps_each(layer, true);
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
	if (image->lazy && (image->incompatible & QCOW2_INCOMPAT_DIRTY ||
			    image->header_unknown)) {
		/* Whatever becomes of it, the next write sets the bit again. */
		image->begun = false;
		ret = qcow2_header_features(image,
					    image->incompatible & ~QCOW2_INCOMPAT_DIRTY,
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
