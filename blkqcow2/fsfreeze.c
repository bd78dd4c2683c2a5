// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file systems on a disk, frozen for a window.
 *
 * Those whose block device knows them bdev_freeze() reaches. Others (btrfs, before
 * it told block devices of itself) qcow2ctl finds, and hands over.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include "qcow2.h"

static struct block_device *qcow2_get_part(struct gendisk *disk,
					   unsigned long partno)
{
	struct block_device *part;

	rcu_read_lock();
	part = xa_load(&disk->part_tbl, partno);
	if (part && !kobject_get_unless_zero(bdev_kobj(part)))
		part = NULL;
	rcu_read_unlock();
	return part;
}

static int qcow2_freeze_part(struct qcow2_dev *dev, unsigned long partno)
{
	struct block_device *part = qcow2_get_part(dev->disk, partno);
	int ret;

	if (!part)
		return 0;
	ret = xa_err(xa_store(&dev->frozen, partno, part, GFP_KERNEL));
	if (!ret) {
		ret = bdev_freeze(part);
		if (ret)
			xa_erase(&dev->frozen, partno);
	}
	if (ret)
		kobject_put(bdev_kobj(part));
	return ret;
}

static struct super_block *qcow2_mounted(struct file *file)
{
	return file_inode(file)->i_sb;
}

/* Those that bdev_freeze() does not reach, in the order of the caller. */
static int qcow2_freeze_mounts(struct qcow2_dev *dev)
{
	struct qcow2_mounts *mounts = dev->window.mounts;
	int ret = 0;
	u32 i;

	for (i = 0; mounts && i < mounts->nr && !ret; i++) {
		ret = freeze_super(qcow2_mounted(mounts->files[i]),
				   FREEZE_HOLDER_USERSPACE | FREEZE_MAY_NEST,
				   NULL);
		if (!ret)
			mounts->nr_frozen++;
	}
	return ret;
}

static void qcow2_thaw_mounts(struct qcow2_dev *dev)
{
	struct qcow2_mounts *mounts = dev->window.mounts;

	while (mounts && mounts->nr_frozen) {
		struct file *file = mounts->files[--mounts->nr_frozen];

		if (thaw_super(qcow2_mounted(file),
			       FREEZE_HOLDER_USERSPACE | FREEZE_MAY_NEST, NULL))
			pr_err("qcow2%d: file system %s cannot be thawed\n",
			       dev->index, qcow2_mounted(file)->s_id);
	}
	dev->window.mounts = NULL;
	qcow2_mounts_put(mounts);
}

/**
 * qcow2_mounts_put() - release file systems that were handed over
 * @mounts: may be NULL, or half made
 */
void qcow2_mounts_put(struct qcow2_mounts *mounts)
{
	u32 i;

	if (!mounts)
		return;
	for (i = 0; i < mounts->nr; i++) {
		if (mounts->files[i])
			fput(mounts->files[i]);
	}
	kfree(mounts);
}

/* It can be frozen, and what the image lies on must not be. */
static int qcow2_check_mount(struct qcow2_dev *dev, struct file *file,
			     struct qcow2_err *err)
{
	const struct super_operations *op = qcow2_mounted(file)->s_op;
	const struct qcow2_chain *chain = dev->chain;
	u32 i;

	if (!op->freeze_fs || op->freeze_super)
		return qcow2_fail(err, -EOPNOTSUPP,
				  "/dev/qcow2%d: file system %s cannot be frozen",
				  dev->index, qcow2_mounted(file)->s_id);
	for (i = 0; i < chain->nr; i++) {
		struct file *data = chain->files[i].data;

		if (qcow2_mounted(file) == qcow2_mounted(chain->files[i].file) ||
		    (data && qcow2_mounted(file) == qcow2_mounted(data)))
			return qcow2_fail(err, -EINVAL,
					  "/dev/qcow2%d: its own image lies on a file system that is to be frozen",
					  dev->index);
	}
	return 0;
}

/**
 * qcow2_disk_thaw_fs() - thaw what qcow2_disk_freeze_fs() froze
 * @dev: the device; serves requests
 *
 * Context: may sleep and do I/O on the disk.
 */
void qcow2_disk_thaw_fs(struct qcow2_dev *dev)
{
	struct block_device *part;
	unsigned long partno;

	xa_for_each(&dev->frozen, partno, part) {
		if (bdev_thaw(part))
			pr_err("qcow2%d: a file system on partition %lu cannot be thawed\n",
			       dev->index, partno);
		xa_erase(&dev->frozen, partno);
		kobject_put(bdev_kobj(part));
	}
	qcow2_thaw_mounts(dev);
}

/**
 * qcow2_disk_freeze_fs() - freeze the file systems on the disk and its
 * partitions, write back what the page cache holds of it
 * @dev: the device; serves requests
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O on the disk.
 * Return: 0 or a negative errno; then none is frozen.
 */
int qcow2_disk_freeze_fs(struct qcow2_dev *dev, struct qcow2_err *err)
{
	struct qcow2_mounts *mounts = dev->window.mounts;
	struct block_device *part;
	unsigned long partno;
	int ret = 0;
	u32 i;

	for (i = 0; mounts && i < mounts->nr; i++) {
		ret = qcow2_check_mount(dev, mounts->files[i], err);
		if (ret)
			return ret;
	}
	ret = qcow2_freeze_mounts(dev);
	xa_for_each(&dev->disk->part_tbl, partno, part) {
		if (!ret)
			ret = qcow2_freeze_part(dev, partno);
	}
	if (!ret)
		return 0;
	qcow2_disk_thaw_fs(dev);
	return qcow2_fail(err, ret,
			  "/dev/qcow2%d: a file system on it cannot be frozen (error %d)",
			  dev->index, ret);
}
