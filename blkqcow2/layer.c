// SPDX-License-Identifier: GPL-2.0-only
/*
 * One file of the chain: open, validate, read its tables.
 */
#include <linux/bitmap.h>
#include <linux/crc32.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include "qcow2.h"

/* Pages of a file that are worth the time to be dropped from the page cache. */
#define QCOW2_DROP_PAGES	16384UL

/* Memory for the L1 tables of all layers. */
#define QCOW2_MAX_CHAIN_L1_BYTES	SZ_256M

/**
 * qcow2_bounce_alloc() - a buffer for direct I/O, large if it can be had
 * @len: in: bytes wanted, a power of two; out: bytes given, at least a page
 *	if as many were wanted
 *
 * Return: the buffer, for qcow2_buf_free(), or NULL.
 */
void *qcow2_bounce_alloc(size_t *len)
{
	void *buf = qcow2_buf_alloc(*len, GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);

	if (buf || *len <= PAGE_SIZE)
		return buf;
	*len = PAGE_SIZE;
	return qcow2_buf_alloc(*len, GFP_NOIO);
}

/**
 * qcow2_layer_read() - read any bytes of a layer's file
 * @layer: the file
 * @pos: host offset in bytes, of any alignment
 * @to: destination, of any kind of kernel memory
 * @len: bytes; what lies beyond the end of the file reads as zeroes
 *
 * Context: may sleep, as qcow2_io_sync().
 * Return: 0 or a negative errno.
 */
int qcow2_layer_read(struct qcow2_layer *layer, u64 pos, void *to, size_t len)
{
	u32 align = max(layer->meta.dio_align, QCOW2_SECTOR_BYTES);
	size_t chunk = QCOW2_BOUNCE_BYTES;
	void *bounce = qcow2_bounce_alloc(&chunk);
	int ret = 0;

	if (!bounce)
		return -ENOMEM;
	while (len && !ret) {
		u64 from = round_down(pos, (u64)align);
		size_t skip = pos - from;
		size_t n = min(len, chunk - skip);

		ret = qcow2_io_buf(&layer->meta, ITER_DEST, from, bounce,
				   round_up(skip + n, align));
		if (!ret)
			memcpy(to, bounce + skip, n);
		pos += n;
		to += n;
		len -= n;
	}
	qcow2_buf_free(bounce);
	return ret;
}

/**
 * qcow2_table_alloc() - a table in memory, blank
 * @table: the result; its host offset is the caller's
 * @nr: entries
 * @slice_bits: log2 of the bytes of a block that is written at once
 *
 * Return: 0 or -ENOMEM.
 */
int qcow2_table_alloc(struct qcow2_table *table, u32 nr, u32 slice_bits)
{
	u32 entries_bits = slice_bits - 3;

	table->nr = nr;
	table->nr_blocks = DIV_ROUND_UP(nr, 1U << entries_bits);
	table->entries = kvcalloc(max(table->nr_blocks, 1U), 1UL << slice_bits,
				  GFP_KERNEL_ACCOUNT);
	table->dirty = bitmap_zalloc(max(table->nr_blocks, 1U), GFP_KERNEL);
	if (table->entries && table->dirty)
		return 0;
	qcow2_table_free(table);
	return -ENOMEM;
}

/**
 * qcow2_table_free() - free a table
 * @table: may be blank or half made
 */
void qcow2_table_free(struct qcow2_table *table)
{
	kvfree(table->entries);
	bitmap_free(table->dirty);
	kvfree(table->index.chains);
	kvfree(table->index.next);
	memset(table, 0, sizeof(*table));
}

/**
 * qcow2_table_load() - read a table into memory
 * @layer: whose
 * @table: the result
 * @host: host offset in bytes, cluster-aligned
 * @nr: entries
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_table_load(struct qcow2_layer *layer, struct qcow2_table *table,
		     u64 host, u32 nr, struct qcow2_err *err)
{
	u32 slice_bits = min_t(u32, layer->cluster_bits, QCOW2_MAX_SLICE_BITS);
	int ret = qcow2_table_alloc(table, nr, slice_bits);

	if (ret)
		return qcow2_fail(err, ret, "not enough memory for a table of %u entries",
				  nr);
	table->host = host;
	ret = qcow2_layer_read(layer, host, table->entries, (size_t)nr * 8);
	if (ret)
		return qcow2_fail(err, ret, "cannot read a table at 0x%llx (error %d)",
				  host, ret);
	return 0;
}

/**
 * qcow2_table_mark() - have the next commit write an entry
 * @table: the table
 * @index: of the entry, which has been changed
 * @slice_bits: log2 of the bytes of a block
 */
void qcow2_table_mark(struct qcow2_table *table, u32 index, u32 slice_bits)
{
	/* The entry before the bit: qcow2_snapshot_table(). */
	smp_mb__before_atomic();
	set_bit(index >> (slice_bits - 3), table->dirty);
}

/**
 * qcow2_table_dirty() - does a commit have anything to write of it?
 * @table: the table
 */
bool qcow2_table_dirty(const struct qcow2_table *table)
{
	return !bitmap_empty(table->dirty, table->nr_blocks);
}

/**
 * qcow2_file_buffer() - do without direct I/O
 * @file: the file
 */
void qcow2_file_buffer(struct qcow2_file *file)
{
	file->direct = false;
	file->nowait = false;
	file->dio_align = QCOW2_SECTOR_BYTES;
}

/* What the file system says of direct I/O, or a guess that is on the safe side. */
static void qcow2_probe_direct(struct qcow2_file *file)
{
	struct inode *inode = file->file->f_mapping->host;
	struct block_device *bdev = file->regular ? inode->i_sb->s_bdev : I_BDEV(inode);
	struct kstat st = {};

	file->nowait = file->file->f_mode & FMODE_NOWAIT;
	file->dio_align = QCOW2_SECTOR_BYTES;
	file->dma_align = QCOW2_SECTOR_BYTES;
	file->remote = file->regular && !(file->mapping->host->i_sb->s_type->fs_flags &
					  FS_REQUIRES_DEV);
	/* overlayfs and others ask the file, and not each I/O, whether it is to be direct. */
	file->direct = file->file->f_mode & FMODE_CAN_ODIRECT &&
		       file->file->f_flags & O_DIRECT;
	if (!file->direct)
		return;
	if (file->regular && !vfs_getattr(&file->file->f_path, &st, STATX_DIOALIGN, 0) &&
	    st.result_mask & STATX_DIOALIGN) {
		file->direct = st.dio_offset_align;
		file->dio_align = st.dio_offset_align;
		file->dma_align = st.dio_mem_align;
	} else if (bdev) {
		file->dio_align = bdev_logical_block_size(bdev);
		file->dma_align = bdev_dma_alignment(bdev) + 1;
	}
	file->dio_align = max(file->dio_align, QCOW2_SECTOR_BYTES);
	file->dma_align = max(file->dma_align, 4U);
	/* Tables are read and written in slices. */
	if (file->dio_align > 1U << QCOW2_MAX_SLICE_BITS)
		qcow2_file_buffer(file);
}

/**
 * qcow2_file_is_stable() - must pages not change while they are written to it?
 * @file: the file
 */
bool qcow2_file_is_stable(const struct qcow2_file *file)
{
	return file->regular ? mapping_stable_writes(file->mapping) :
			       bdev_stable_writes(I_BDEV(file->mapping->host));
}

static int qcow2_check_file(struct file *file, bool writable,
			    struct qcow2_err *err)
{
	umode_t mode = file_inode(file)->i_mode;

	if (S_ISDIR(mode))
		return qcow2_fail(err, -EISDIR, "is a directory");
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return qcow2_fail(err, -EINVAL,
				  "is neither a regular file nor a block device");
	if (!(file->f_mode & FMODE_READ) || !file->f_op->read_iter)
		return qcow2_fail(err, -EBADF, "is not open for reading");
	if (writable &&
	    (!(file->f_mode & FMODE_WRITE) || !file->f_op->write_iter))
		return qcow2_fail(err, -EBADF, "is not open for writing");
	if (writable && S_ISBLK(mode) &&
	    bdev_read_only(I_BDEV(file->f_mapping->host)))
		return qcow2_fail(err, -EROFS,
				  "is a read-only block device: attach it read-only");
	return 0;
}

static int qcow2_check_supported(struct qcow2_layer *layer, bool writable,
				 struct qcow2_err *err)
{
	struct qcow2_header *h = &layer->header;

	if (h->crypt_method)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "image is encrypted (%s), which is not supported",
				  h->crypt_method == 1 ? "AES" : "LUKS");
	if (qcow2_is_external(h) && !layer->external.file)
		return qcow2_fail(err, -EINVAL,
				  "its external data file is missing");
	if (!qcow2_is_external(h) && layer->external.file)
		return qcow2_fail(err, -EINVAL, "has no external data file");
	if (!writable)
		return 0;
	if (h->incompatible & QCOW2_INCOMPAT_CORRUPT)
		return qcow2_fail(err, -EUCLEAN,
				  "image is marked corrupt: attach it read-only, or repair it with qemu-img check -r all");
	if (h->incompatible & QCOW2_INCOMPAT_DIRTY)
		return qcow2_fail(err, -EUCLEAN,
				  "image was not closed cleanly: repair it with qemu-img check -r all");
	return 0;
}

/* The tables must lie inside the file: QEMU would read zeroes beyond it. */
static int qcow2_check_ends(struct qcow2_layer *layer, struct qcow2_err *err)
{
	struct qcow2_header *h = &layer->header;
	u64 l1_bytes = (u64)h->l1_entries * 8;
	u64 reftable_bytes = (u64)h->reftable_clusters << layer->cluster_bits;

	if (l1_bytes > layer->meta.size ||
	    h->l1_offset > layer->meta.size - l1_bytes)
		return qcow2_fail(err, -EINVAL,
				  "L1 table lies beyond the end of the file (truncated image?)");
	if (reftable_bytes > layer->meta.size ||
	    h->reftable_offset > layer->meta.size - reftable_bytes)
		return qcow2_fail(err, -EINVAL,
				  "refcount table lies beyond the end of the file (truncated image?)");
	if (h->nr_snapshots && h->snapshots_offset >= layer->meta.size)
		return qcow2_fail(err, -EINVAL,
				  "snapshot table lies beyond the end of the file (truncated image?)");
	return 0;
}

static int qcow2_check_bitmap_end(struct qcow2_layer *layer,
				  struct qcow2_err *err)
{
	struct qcow2_bitmaps *bitmaps = &layer->bitmaps;

	if (bitmaps->nr && bitmaps->offset + bitmaps->bytes > layer->meta.size)
		return qcow2_fail(err, -EINVAL,
				  "bitmap directory lies beyond the end of the file (truncated image?)");
	return 0;
}

/* The entry of the snapshot table at @pos, whose begin is @entry. */
static int qcow2_read_snapshot(struct qcow2_layer *layer, const void *entry,
			       u64 *pos, struct qcow2_err *err)
{
	struct qcow2_header *h = &layer->header;
	struct qcow2_snapshot snapshot;
	int ret;

	ret = qcow2_snapshot_decode(entry, h, &snapshot, err);
	if (ret)
		return ret;
	if (snapshot.l1_entries && snapshot.l1_offset +
	    (u64)snapshot.l1_entries * 8 > layer->meta.size)
		return qcow2_fail(err, -EINVAL,
				  "L1 table of a snapshot lies beyond the end of the file (truncated image?)");
	*pos += snapshot.bytes;
	if (*pos > layer->meta.size)
		return qcow2_fail(err, -EINVAL,
				  "snapshot table lies beyond the end of the file (truncated image?)");
	layer->snapshots_bytes = *pos - h->snapshots_offset;
	if (layer->snapshots_bytes > QCOW2_MAX_SNAPSHOTS_BYTES)
		return qcow2_fail(err, -EFBIG, "snapshot table is larger than 64 MiB");
	*pos = round_up(*pos, 8);
	if (!layer->index && layer->image->writable)
		qcow2_overlap_snapshot(layer, &snapshot);
	return 0;
}

/* Piece by piece: a piece begins with an entry. */
static int qcow2_walk_snapshots(struct qcow2_layer *layer, void *piece,
				size_t bytes, struct qcow2_err *err)
{
	u64 pos = layer->header.snapshots_offset, start = 0, end = 0;
	u32 i;
	int ret = 0;

	for (i = 0; i < layer->header.nr_snapshots && !ret; i++) {
		if (pos + QCOW2_SNAPSHOT_MIN > end) {
			start = pos;
			end = pos + bytes;
			ret = qcow2_layer_read(layer, start, piece, bytes);
			if (ret)
				return qcow2_fail(err, ret,
						  "cannot read the snapshot table (error %d)",
						  ret);
			cond_resched();
		}
		ret = qcow2_read_snapshot(layer, piece + (pos - start), &pos, err);
	}
	return ret;
}

static int qcow2_read_snapshots(struct qcow2_layer *layer, struct qcow2_err *err)
{
	u32 nr = layer->header.nr_snapshots;
	size_t bytes = QCOW2_BOUNCE_BYTES;
	void *piece;
	int ret;

	if (!nr)
		return 0;
	piece = qcow2_bounce_alloc(&bytes);
	if (!piece)
		return qcow2_fail(err, -ENOMEM, "not enough memory");
	ret = layer->index ? 0 :
	      qcow2_overlap_snapshots(&layer->image->overlap, nr);
	if (ret)
		qcow2_fail(err, ret, "not enough memory for %u snapshots", nr);
	else
		ret = qcow2_walk_snapshots(layer, piece, bytes, err);
	qcow2_buf_free(piece);
	return ret;
}

/* Each is bounded, but there may be many layers. */
static int qcow2_count_l1(struct qcow2_layer *layer, struct qcow2_err *err)
{
	layer->image->l1_bytes += (u64)layer->header.l1_entries * 8;
	if (layer->image->l1_bytes > QCOW2_MAX_CHAIN_L1_BYTES)
		return qcow2_fail(err, -EFBIG,
				  "L1 tables of the chain are larger than 256 MiB in all");
	return 0;
}

static int qcow2_read_header(struct qcow2_layer *layer, struct qcow2_err *err)
{
	size_t len = min_t(u64, layer->meta.size, QCOW2_HEADER_PROBE_BYTES);
	void *buf = kzalloc(QCOW2_HEADER_PROBE_BYTES, GFP_KERNEL);
	int ret;

	if (!buf)
		return qcow2_fail(err, -ENOMEM, "not enough memory");
	ret = qcow2_layer_read(layer, 0, buf, QCOW2_HEADER_PROBE_BYTES);
	if (ret)
		qcow2_fail(err, ret, "cannot read the header (error %d)", ret);
	else
		ret = qcow2_header_decode(buf, len, &layer->header, err);
	kfree(buf);
	return ret;
}

/* So that it shows if a window has given the layer other files. */
static u32 qcow2_hash_names(const struct qcow2_header *h, const void *buf, size_t len)
{
	u32 bytes, hash = 0;
	const void *name;

	if (h->backing_offset && h->backing_offset + h->backing_len <= len)
		hash = crc32_le(hash, buf + h->backing_offset, h->backing_len);
	name = qcow2_header_data_name(buf, len, h, &bytes);
	return crc32_le(hash, name, bytes);
}

static int qcow2_read_extensions(struct qcow2_layer *layer,
				 struct qcow2_err *err)
{
	size_t len = min(layer->meta.size, qcow2_cluster_size(layer));
	void *buf = kvzalloc(qcow2_cluster_size(layer), GFP_KERNEL);
	int ret;

	if (!buf)
		return qcow2_fail(err, -ENOMEM, "not enough memory");
	ret = qcow2_layer_read(layer, 0, buf, len);
	if (ret)
		qcow2_fail(err, ret, "cannot read the header (error %d)", ret);
	else
		ret = qcow2_header_check_extensions(buf, len, &layer->header,
						    &layer->bitmaps, err);
	if (!ret)
		layer->names = qcow2_hash_names(&layer->header, buf, len);
	kvfree(buf);
	return ret;
}

static int qcow2_open_qcow2(struct qcow2_layer *layer, bool writable,
			    u64 cache_bytes, struct qcow2_err *err)
{
	struct qcow2_header *h = &layer->header;
	u32 slice_bits;
	int ret;

	ret = qcow2_read_header(layer, err);
	if (ret)
		return ret;
	layer->cluster_bits = h->cluster_bits;
	layer->entry_bits = qcow2_is_extended(h) ? 4 : 3;
	layer->l2_bits = h->cluster_bits - layer->entry_bits;
	layer->size = round_down(h->size, QCOW2_SECTOR_BYTES);
	layer->plain = !qcow2_is_extended(h) && !qcow2_is_external(h);
	ret = qcow2_check_supported(layer, writable, err);
	if (!ret)
		ret = qcow2_check_ends(layer, err);
	if (!ret)
		ret = qcow2_read_extensions(layer, err);
	if (!ret)
		ret = qcow2_check_bitmap_end(layer, err);
	if (!ret)
		ret = qcow2_read_snapshots(layer, err);
	if (!ret)
		ret = qcow2_count_l1(layer, err);
	if (ret)
		return ret;
	slice_bits = min_t(u32, layer->cluster_bits, QCOW2_MAX_SLICE_BITS);
	ret = qcow2_cache_size(&layer->l2, slice_bits, cache_bytes,
			       layer->size >> (layer->cluster_bits + slice_bits -
					       layer->entry_bits));
	if (ret)
		return qcow2_fail(err, ret, "not enough memory");
	return qcow2_table_load(layer, &layer->l1, h->l1_offset, h->l1_entries,
				err);
}

/*
 * What qemu-img has left there. While a file has pages in the page cache, each direct
 * write looks for those that it makes stale. If they are many, the writes themselves
 * will drop them.
 */
static void qcow2_drop_pages(struct address_space *mapping)
{
	if (READ_ONCE(mapping->nrpages) <= QCOW2_DROP_PAGES)
		invalidate_mapping_pages(mapping, 0, -1);
}

static void qcow2_file_drop_stale(struct qcow2_file *file)
{
	if (file->direct && !file->regular)
		invalidate_inode_pages2(file->mapping);
}

/**
 * qcow2_layer_drop_stale() - let nobody find in the page cache what was there before
 * @layer: its files have been written, and are nobody's from now on
 *
 * Asynchronous direct I/O to a block device drops pages before the write and not, as
 * file systems do, after it: who read meanwhile, such as udev, left what was there.
 *
 * Context: may sleep and do I/O.
 */
void qcow2_layer_drop_stale(struct qcow2_layer *layer)
{
	qcow2_file_drop_stale(&layer->meta);
	if (layer->data != &layer->meta)
		qcow2_file_drop_stale(layer->data);
}

/*
 * How long a file is that another machine may have changed since it was opened, in a
 * window. A network file system brings the inode up to date if it is asked.
 */
static int qcow2_file_size(struct qcow2_file *file, struct qcow2_err *err)
{
	struct kstat st;
	int ret = vfs_getattr(&file->file->f_path, &st, STATX_SIZE,
			      AT_STATX_FORCE_SYNC);

	if (ret)
		return qcow2_fail(err, ret, "its size cannot be read");
	file->size = i_size_read(file->file->f_mapping->host);
	return 0;
}

static int qcow2_file_open(struct qcow2_file *file, bool writable,
			   struct qcow2_err *err)
{
	int ret = qcow2_check_file(file->file, writable, err);

	if (ret)
		return ret;
	file->regular = S_ISREG(file_inode(file->file)->i_mode);
	file->mapping = file->file->f_mapping;
	if (file->regular)
		file->mapping = d_real_inode(file->file->f_path.dentry)->i_mapping;
	file->wb_err = filemap_sample_wb_err(file->mapping);
	ret = qcow2_file_size(file, err);
	if (ret)
		return ret;
	qcow2_probe_direct(file);
	if (writable && file->direct)
		qcow2_drop_pages(file->file->f_mapping);
	return 0;
}

/**
 * qcow2_layer_open() - read and validate a layer
 * @layer: its image, files, index and format are set
 * @writable: it is to be written
 * @cache_bytes: bound for its L2 tables in memory
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno; qcow2_layer_close() is due in both cases.
 */
int qcow2_layer_open(struct qcow2_layer *layer, bool writable, u64 cache_bytes,
		     struct qcow2_err *err)
{
	int ret = qcow2_file_open(&layer->meta, writable, err);

	if (ret)
		return ret;
	layer->data = &layer->meta;
	if (layer->external.file) {
		ret = qcow2_file_open(&layer->external, writable, err);
		if (ret) {
			qcow2_err_prefix(err, "external data file: ");
			return ret;
		}
		layer->data = &layer->external;
	}
	if (layer->format == QCOW2_FORMAT_QCOW2)
		return qcow2_open_qcow2(layer, writable, cache_bytes, err);
	layer->size = round_up(layer->meta.size, QCOW2_SECTOR_BYTES);
	return 0;
}

/**
 * qcow2_layer_close() - forget what was read of a layer
 * @layer: no longer used by anybody; its file stays the chain's
 */
void qcow2_layer_close(struct qcow2_layer *layer)
{
	qcow2_cache_destroy(&layer->l2);
	qcow2_table_free(&layer->l1);
}
