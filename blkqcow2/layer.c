// SPDX-License-Identifier: GPL-2.0-only
/*
 * One file of the chain: open, validate, read its tables.
 */
#include <linux/bitmap.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include "qcow2.h"

/**
 * qcow2_bounce_alloc() - a buffer for direct I/O, large if it can be had
 * @len: in: bytes wanted, a power of two; out: bytes given, at least a page
 *	if as many were wanted
 *
 * Return: the buffer, for kfree(), or NULL.
 */
void *qcow2_bounce_alloc(size_t *len)
{
	void *buf = kmalloc(*len, GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);

	if (buf || *len <= PAGE_SIZE)
		return buf;
	*len = PAGE_SIZE;
	return kmalloc(*len, GFP_NOIO);
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
	u32 align = max(layer->dio_align, QCOW2_SECTOR_BYTES);
	size_t chunk = QCOW2_BOUNCE_BYTES;
	void *bounce = qcow2_bounce_alloc(&chunk);
	int ret = 0;

	if (!bounce)
		return -ENOMEM;
	while (len && !ret) {
		u64 from = round_down(pos, (u64)align);
		size_t skip = pos - from;
		size_t n = min(len, chunk - skip);

		ret = qcow2_io_buf(layer, ITER_DEST, from, bounce,
				   round_up(skip + n, align));
		if (!ret)
			memcpy(to, bounce + skip, n);
		pos += n;
		to += n;
		len -= n;
	}
	kfree(bounce);
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

/* What the file system says of direct I/O, or a guess that is on the safe side. */
static void qcow2_probe_direct(struct qcow2_layer *layer)
{
	struct inode *inode = layer->file->f_mapping->host;
	struct kstat st = {};

	layer->nowait = layer->file->f_mode & FMODE_NOWAIT;
	layer->dio_align = QCOW2_SECTOR_BYTES;
	layer->dma_align = QCOW2_SECTOR_BYTES;
	layer->direct = layer->file->f_mode & FMODE_CAN_ODIRECT;
	if (!layer->direct)
		return;
	if (S_ISBLK(inode->i_mode)) {
		layer->dio_align = bdev_logical_block_size(I_BDEV(inode));
	} else if (!vfs_getattr(&layer->file->f_path, &st, STATX_DIOALIGN, 0) &&
		   st.result_mask & STATX_DIOALIGN) {
		layer->direct = st.dio_offset_align;
		layer->dio_align = st.dio_offset_align;
		layer->dma_align = st.dio_mem_align;
	} else if (inode->i_sb->s_bdev) {
		layer->dio_align =
			bdev_logical_block_size(inode->i_sb->s_bdev);
	}
	layer->dio_align = max(layer->dio_align, QCOW2_SECTOR_BYTES);
	layer->dma_align = max(layer->dma_align, 4U);
	if (layer->dio_align > PAGE_SIZE)
		layer->direct = false;
}

/**
 * qcow2_layer_align() - can the layer be read to its end in whole blocks?
 * @layer: open
 * @block_size: of the disk, in bytes
 *
 * Direct I/O ends where a larger layer takes over from this one; if that is in
 * the middle of a block it must be buffered.
 */
void qcow2_layer_align(struct qcow2_layer *layer, u32 block_size)
{
	if (!(layer->size & (block_size - 1)))
		return;
	layer->direct = false;
	layer->nowait = false;
}

static int qcow2_check_file(struct qcow2_layer *layer, bool writable,
			    struct qcow2_err *err)
{
	struct file *file = layer->file;
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
	if (h->incompatible & QCOW2_INCOMPAT_DATA_FILE)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "external data files are not supported");
	if (h->incompatible & QCOW2_INCOMPAT_EXTL2)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "extended L2 entries are not supported");
	if (h->incompatible & QCOW2_INCOMPAT_COMPRESSION)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "zstd compression is not supported");
	if (h->cluster_bits != 16)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "clusters of %llu bytes are not supported, only 65536",
				  qcow2_cluster_size(layer));
	if (h->refcount_order != 4)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "refcounts of %u bits are not supported, only 16",
				  1U << h->refcount_order);
	if (!writable)
		return 0;
	if (h->incompatible & QCOW2_INCOMPAT_CORRUPT)
		return qcow2_fail(err, -EUCLEAN,
				  "image is marked corrupt: attach it read-only, or repair it with qemu-img check -r all");
	if (h->incompatible & QCOW2_INCOMPAT_DIRTY)
		return qcow2_fail(err, -EUCLEAN,
				  "image was not closed cleanly: repair it with qemu-img check -r all");
	if (h->autoclear)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "writing an image with %s is not supported: attach it read-only",
				  h->autoclear & QCOW2_AUTOCLEAR_BITMAPS ?
				  "persistent bitmaps" : "unknown autoclear features");
	return 0;
}

/* The tables must lie inside the file: QEMU would read zeroes beyond it. */
static int qcow2_check_ends(struct qcow2_layer *layer, struct qcow2_err *err)
{
	struct qcow2_header *h = &layer->header;
	u64 l1_bytes = (u64)h->l1_entries * 8;
	u64 reftable_bytes = (u64)h->reftable_clusters << layer->cluster_bits;

	if (l1_bytes > layer->file_size ||
	    h->l1_offset > layer->file_size - l1_bytes)
		return qcow2_fail(err, -EINVAL,
				  "L1 table lies beyond the end of the file (truncated image?)");
	if (reftable_bytes > layer->file_size ||
	    h->reftable_offset > layer->file_size - reftable_bytes)
		return qcow2_fail(err, -EINVAL,
				  "refcount table lies beyond the end of the file (truncated image?)");
	if (h->nr_snapshots && h->snapshots_offset >= layer->file_size)
		return qcow2_fail(err, -EINVAL,
				  "snapshot table lies beyond the end of the file (truncated image?)");
	return 0;
}

static int qcow2_read_header(struct qcow2_layer *layer, struct qcow2_err *err)
{
	size_t len = min_t(u64, layer->file_size, QCOW2_HEADER_PROBE_BYTES);
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

static int qcow2_read_extensions(struct qcow2_layer *layer,
				 struct qcow2_err *err)
{
	size_t len = min(layer->file_size, qcow2_cluster_size(layer));
	void *buf = kvzalloc(qcow2_cluster_size(layer), GFP_KERNEL);
	int ret;

	if (!buf)
		return qcow2_fail(err, -ENOMEM, "not enough memory");
	ret = qcow2_layer_read(layer, 0, buf, len);
	if (ret)
		qcow2_fail(err, ret, "cannot read the header (error %d)", ret);
	else
		ret = qcow2_header_check_extensions(buf, len, &layer->header, err);
	kvfree(buf);
	return ret;
}

static int qcow2_open_qcow2(struct qcow2_layer *layer, bool writable,
			    u64 cache_bytes, struct qcow2_err *err)
{
	struct qcow2_header *h = &layer->header;
	int ret;

	ret = qcow2_read_header(layer, err);
	if (ret)
		return ret;
	layer->cluster_bits = h->cluster_bits;
	layer->l2_bits = h->cluster_bits - 3;
	layer->size = round_down(h->size, QCOW2_SECTOR_BYTES);
	ret = qcow2_check_supported(layer, writable, err);
	if (!ret)
		ret = qcow2_check_ends(layer, err);
	if (!ret)
		ret = qcow2_read_extensions(layer, err);
	if (ret)
		return ret;
	if (layer->dio_align > qcow2_cluster_size(layer))
		return qcow2_fail(err, -EOPNOTSUPP,
				  "clusters are smaller than the blocks of the file's storage");
	qcow2_cache_size(&layer->l2,
			 min_t(u32, layer->cluster_bits, QCOW2_MAX_SLICE_BITS),
			 cache_bytes);
	return qcow2_table_load(layer, &layer->l1, h->l1_offset, h->l1_entries,
				err);
}

/**
 * qcow2_layer_open() - read and validate a layer
 * @layer: its image, file, index and format are set
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
	int ret = qcow2_check_file(layer, writable, err);

	if (ret)
		return ret;
	layer->file_size = i_size_read(layer->file->f_mapping->host);
	qcow2_probe_direct(layer);
	if (layer->format == QCOW2_FORMAT_QCOW2)
		return qcow2_open_qcow2(layer, writable, cache_bytes, err);
	layer->size = round_up(layer->file_size, QCOW2_SECTOR_BYTES);
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
