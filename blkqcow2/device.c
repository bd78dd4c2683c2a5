// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices: attach, detach, and what they have in common with window.c.
 *
 * ctl_lock is held over each change of the state, but for the one to failed; what
 * is not a change reads the state without it.
 */
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "qcow2.h"

#define QCOW2_CACHE_DEFAULT	SZ_32M
#define QCOW2_CACHE_LEAST	SZ_256K

static DEFINE_XARRAY_ALLOC(qcow2_devs);
static DEFINE_MUTEX(qcow2_devs_lock);

/* For what may drop the last reference to a device, and so to the module. */
static struct workqueue_struct *qcow2_devs_wq;

static void qcow2_dev_free_work(struct work_struct *work)
{
	struct qcow2_dev *dev = container_of(work, struct qcow2_dev, free_work);

	if (dev->wq)
		destroy_workqueue(dev->wq);
	if (dev->io_wq)
		destroy_workqueue(dev->io_wq);
	if (dev->commit_wq)
		destroy_workqueue(dev->commit_wq);
	free_percpu(dev->nr_direct);
	free_percpu(dev->nr_worker);
	xa_destroy(&dev->frozen);
	kfree(dev);
	module_put(THIS_MODULE);
}

/**
 * qcow2_dev_put() - give a reference to a device back
 * @dev: the device
 *
 * Context: any.
 */
void qcow2_dev_put(struct qcow2_dev *dev)
{
	/* The module may go with it: not before this function has returned. */
	if (refcount_dec_and_test(&dev->ref))
		queue_work(qcow2_devs_wq, &dev->free_work);
}

/**
 * qcow2_dev_find() - look a device up
 * @index: N of /dev/qcow2N
 * @or_next: take the first one after it if there is none
 *
 * Return: the device, for qcow2_dev_put(), or NULL.
 */
struct qcow2_dev *qcow2_dev_find(int index, bool or_next)
{
	struct qcow2_dev *dev = NULL, *found;
	unsigned long i = index;

	if (index < 0)
		return NULL;
	mutex_lock(&qcow2_devs_lock);
	xa_for_each_start(&qcow2_devs, i, found, index) {
		if (i != index && !or_next)
			break;
		/* Not while it is being attached. */
		if (READ_ONCE(found->state) && refcount_inc_not_zero(&found->ref)) {
			dev = found;
			break;
		}
	}
	mutex_unlock(&qcow2_devs_lock);
	return dev;
}

static int qcow2_dev_number(struct qcow2_dev *dev, s32 index,
			    struct qcow2_err *err)
{
	u32 id;
	int ret;

	mutex_lock(&qcow2_devs_lock);
	if (index < 0)
		ret = xa_alloc(&qcow2_devs, &id, dev, XA_LIMIT(0, MINORMASK),
			       GFP_KERNEL);
	else
		ret = xa_insert(&qcow2_devs, id = index, dev, GFP_KERNEL);
	mutex_unlock(&qcow2_devs_lock);
	if (ret == -EBUSY)
		return qcow2_fail(err, -EEXIST, "/dev/qcow2%d exists already",
				  index);
	if (ret)
		return qcow2_fail(err, ret, "no free device number (error %d)",
				  ret);
	dev->index = id;
	return 0;
}

static void qcow2_dev_unnumber(struct qcow2_dev *dev)
{
	mutex_lock(&qcow2_devs_lock);
	xa_erase(&qcow2_devs, dev->index);
	mutex_unlock(&qcow2_devs_lock);
}

/**
 * qcow2_dev_lock() - keep others from changing the device's state
 * @dev: the device
 *
 * While requests are held, reclaim must not wait for one of them; the same for
 * whoever has to get the lock before they can go on.
 *
 * Context: may sleep.
 * Return: for qcow2_dev_unlock().
 */
unsigned int qcow2_dev_lock(struct qcow2_dev *dev)
{
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&dev->ctl_lock);
	return noio;
}

/**
 * qcow2_dev_unlock() - let others change the device's state
 * @dev: the device
 * @noio: what qcow2_dev_lock() returned
 */
void qcow2_dev_unlock(struct qcow2_dev *dev, unsigned int noio)
{
	mutex_unlock(&dev->ctl_lock);
	memalloc_noio_restore(noio);
}

static void qcow2_dev_detach_work(struct work_struct *work)
{
	struct qcow2_dev *dev =
		container_of(work, struct qcow2_dev, detach_work);

	/* Opened again meanwhile: its last close comes here again. */
	qcow2_dev_detach(dev, 0, NULL);
	qcow2_dev_put(dev);
}

/**
 * qcow2_dev_set_reason() - what users are told who ask what is wrong
 * @dev: the device
 * @reason: in words; "" if nothing is
 *
 * Context: any.
 */
void qcow2_dev_set_reason(struct qcow2_dev *dev, const char *reason)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->reason_lock, flags);
	strscpy(dev->reason, reason, sizeof(dev->reason));
	spin_unlock_irqrestore(&dev->reason_lock, flags);
}

/**
 * qcow2_dev_get_reason() - what is wrong with a device
 * @dev: the device
 * @buf: receives it
 * @size: of @buf in bytes
 *
 * Context: any.
 */
void qcow2_dev_get_reason(struct qcow2_dev *dev, char *buf, size_t size)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->reason_lock, flags);
	strscpy(buf, dev->reason, size);
	spin_unlock_irqrestore(&dev->reason_lock, flags);
}

/**
 * qcow2_dev_get_disk() - the disk, if there is one
 * @dev: the device
 *
 * Context: any; without ctl_lock.
 * Return: the disk, for put_disk(), or NULL.
 */
struct gendisk *qcow2_dev_get_disk(struct qcow2_dev *dev)
{
	struct gendisk *disk;
	unsigned long flags;

	spin_lock_irqsave(&dev->park_lock, flags);
	disk = dev->disk;
	if (disk)
		get_device(disk_to_dev(disk));
	spin_unlock_irqrestore(&dev->park_lock, flags);
	return disk;
}

/**
 * qcow2_dev_forget_disk() - the disk is about to go
 * @dev: the device
 *
 * Context: any; under ctl_lock.
 */
void qcow2_dev_forget_disk(struct qcow2_dev *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->park_lock, flags);
	dev->disk = NULL;
	spin_unlock_irqrestore(&dev->park_lock, flags);
}

/**
 * qcow2_dev_event() - tell userspace of the device's new state
 * @dev: the device
 * @state: the state
 *
 * The event comes from the control device: upon one of the disk's own, udev would
 * read from the disk, which waits in a window. Only a disk that is live again is
 * to be looked at again.
 *
 * Context: may sleep, for whoever wants memory from this very disk: not under
 * ctl_lock, or nobody could thaw it.
 */
void qcow2_dev_event(struct qcow2_dev *dev, enum qcow2_state state)
{
	char name[sizeof("QCOW2_DEVICE=qcow2") + 10], text[32];
	char *env[3] = { name, text, NULL };
	struct gendisk *disk;

	snprintf(name, sizeof(name), "QCOW2_DEVICE=qcow2%d", dev->index);
	snprintf(text, sizeof(text), "QCOW2_STATE=%s", qcow2_state_name(state));
	qcow2_control_event(env);
	if (state != QCOW2_STATE_LIVE)
		return;
	disk = qcow2_dev_get_disk(dev);
	if (!disk)
		return;
	kobject_uevent_env(&disk_to_dev(disk)->kobj, KOBJ_CHANGE, env);
	put_disk(disk);
}

static void qcow2_dev_fail_work(struct work_struct *work)
{
	struct qcow2_dev *dev = container_of(work, struct qcow2_dev, fail_work);
	unsigned int noio;
	bool failed;

	/* What waits for space to write is not to wait for ever. */
	qcow2_disk_unpark(dev);
	noio = qcow2_dev_lock(dev);
	/* A window may have ended with another image since. */
	failed = dev->disk && dev->image && READ_ONCE(dev->image->commit.error);
	if (failed)
		set_disk_ro(dev->disk, true);
	qcow2_dev_unlock(dev, noio);
	if (failed)
		qcow2_dev_event(dev, QCOW2_STATE_FAILED);
	qcow2_dev_put(dev);
}

/**
 * qcow2_dev_failed() - the device's image can no longer be written
 * @dev: the device
 *
 * Context: any.
 */
void qcow2_dev_failed(struct qcow2_dev *dev)
{
	cmpxchg(&dev->state, QCOW2_STATE_LIVE, QCOW2_STATE_FAILED);
	refcount_inc(&dev->ref);
	if (!qcow2_dev_queue(&dev->fail_work))
		refcount_dec(&dev->ref);
}

static void qcow2_dev_space_work(struct work_struct *work)
{
	struct qcow2_dev *dev =
		container_of(work, struct qcow2_dev, space_work);
	char text[sizeof("QCOW2_NOSPACE=0")];
	char *env[2] = { text, NULL };
	struct gendisk *disk = qcow2_dev_get_disk(dev);

	snprintf(text, sizeof(text), "QCOW2_NOSPACE=%d", READ_ONCE(dev->nospace));
	if (disk) {
		kobject_uevent_env(&disk_to_dev(disk)->kobj, KOBJ_CHANGE, env);
		put_disk(disk);
	}
	qcow2_dev_put(dev);
}

/**
 * qcow2_dev_nospace() - requests wait for space, or no longer
 * @dev: the device
 * @nospace: they do
 *
 * Context: any; @dev->park_lock held.
 */
void qcow2_dev_nospace(struct qcow2_dev *dev, bool nospace)
{
	lockdep_assert_held(&dev->park_lock);
	if (dev->nospace == nospace)
		return;
	WRITE_ONCE(dev->nospace, nospace);
	if (nospace)
		pr_warn("qcow2%d: no space left for its image, requests wait\n",
			dev->index);
	refcount_inc(&dev->ref);
	if (!qcow2_dev_queue(&dev->space_work))
		refcount_dec(&dev->ref);
}

static struct qcow2_dev *qcow2_dev_new(u32 flags, u64 cache_bytes)
{
	struct qcow2_dev *dev = kzalloc_obj(*dev);

	if (!dev)
		return NULL;
	__module_get(THIS_MODULE);
	refcount_set(&dev->ref, 1);
	mutex_init(&dev->ctl_lock);
	spin_lock_init(&dev->park_lock);
	spin_lock_init(&dev->reason_lock);
	qcow2_window_init(dev);
	dev->readonly = flags & QCOW2_ATTACH_F_READONLY;
	dev->park = flags & QCOW2_ATTACH_F_PARK;
	dev->cache_bytes = cache_bytes ?
		max_t(u64, cache_bytes, QCOW2_CACHE_LEAST) : QCOW2_CACHE_DEFAULT;
	xa_init(&dev->frozen);
	INIT_WORK(&dev->free_work, qcow2_dev_free_work);
	INIT_WORK(&dev->detach_work, qcow2_dev_detach_work);
	INIT_WORK(&dev->fail_work, qcow2_dev_fail_work);
	INIT_WORK(&dev->space_work, qcow2_dev_space_work);
	dev->nr_direct = alloc_percpu(unsigned long);
	dev->nr_worker = alloc_percpu(unsigned long);
	if (dev->nr_direct && dev->nr_worker)
		return dev;
	qcow2_dev_put(dev);
	return NULL;
}

/**
 * qcow2_dev_set_live() - no window is open any more: the device is what its image is
 * @dev: the device; has an image
 *
 * Context: any; under ctl_lock.
 */
void qcow2_dev_set_live(struct qcow2_dev *dev)
{
	WRITE_ONCE(dev->state, QCOW2_STATE_LIVE);
	/* Against a failure that looks at the two in reverse order. */
	smp_mb();
	if (READ_ONCE(dev->image->commit.error))
		cmpxchg(&dev->state, QCOW2_STATE_LIVE, QCOW2_STATE_FAILED);
}

static int qcow2_dev_workers(struct qcow2_dev *dev, struct qcow2_err *err)
{
	dev->io_wq = alloc_workqueue("qcow2-%d-io",
				     WQ_UNBOUND | WQ_MEM_RECLAIM, 0, dev->index);
	dev->wq = alloc_workqueue("qcow2-%d", WQ_UNBOUND | WQ_MEM_RECLAIM, 0,
				  dev->index);
	dev->commit_wq = alloc_ordered_workqueue("qcow2-%d-commit",
						 WQ_MEM_RECLAIM, dev->index);
	if (dev->wq && dev->io_wq && dev->commit_wq)
		return 0;
	return qcow2_fail(err, -ENOMEM, "not enough memory for workers");
}

static bool qcow2_chain_has(const struct qcow2_chain *chain,
			    const struct file *file)
{
	u32 i;

	for (i = 0; i < chain->nr; i++) {
		if (chain->files[i].file == file || chain->files[i].data == file)
			return true;
	}
	return false;
}

static bool qcow2_chains_share(const struct qcow2_chain *a,
			       const struct qcow2_chain *b)
{
	u32 i;

	for (i = 0; a && i < a->nr; i++) {
		if (qcow2_chain_has(b, a->files[i].file) ||
		    (a->files[i].data && qcow2_chain_has(b, a->files[i].data)))
			return true;
	}
	return false;
}

/**
 * qcow2_dev_swap_chain() - exchange the device's chain
 * @dev: the device
 * @chain: in: the new one; out: the old one
 *
 * Context: may sleep; under ctl_lock.
 */
void qcow2_dev_swap_chain(struct qcow2_dev *dev, struct qcow2_chain **chain)
{
	mutex_lock(&qcow2_devs_lock);
	swap(dev->chain, *chain);
	mutex_unlock(&qcow2_devs_lock);
}

/**
 * qcow2_dev_set_image() - what serves the device from now on
 * @dev: the device
 * @image: it, or NULL
 *
 * Context: may sleep; under ctl_lock.
 */
void qcow2_dev_set_image(struct qcow2_dev *dev, struct qcow2_image *image)
{
	mutex_lock(&qcow2_devs_lock);
	dev->image = image;
	mutex_unlock(&qcow2_devs_lock);
}

/**
 * qcow2_dev_adopt_chain() - exchange the device's chain, unless another device has
 * one of the new one's open files
 * @dev: the device
 * @chain: in: the new one; out, on success: the old one
 * @err: receives the reason in words
 *
 * Image locks belong to open files, and the two devices would not see each other's.
 *
 * Context: may sleep; under ctl_lock.
 * Return: 0 or -EBUSY.
 */
int qcow2_dev_adopt_chain(struct qcow2_dev *dev, struct qcow2_chain **chain,
			  struct qcow2_err *err)
{
	struct qcow2_dev *other;
	unsigned long i;
	int ret = 0;

	mutex_lock(&qcow2_devs_lock);
	xa_for_each(&qcow2_devs, i, other) {
		if (other != dev && qcow2_chains_share(other->chain, *chain))
			ret = qcow2_fail(err, -EBUSY,
					 "a file descriptor serves /dev/qcow2%lu already",
					 i);
	}
	if (!ret)
		swap(dev->chain, *chain);
	mutex_unlock(&qcow2_devs_lock);
	return ret;
}

static bool qcow2_chain_has_host(const struct qcow2_chain *chain,
				 const struct file *file)
{
	u32 i;

	for (i = 0; file && i < chain->nr; i++) {
		const struct qcow2_chain_file *other = &chain->files[i];

		if (other->file->f_mapping->host == file->f_mapping->host ||
		    (other->data &&
		     other->data->f_mapping->host == file->f_mapping->host))
			return true;
	}
	return false;
}

/* Does device @a write to a file of @b? */
static bool qcow2_dev_writes(const struct qcow2_dev *a, const struct qcow2_dev *b)
{
	return !a->readonly &&
	       (qcow2_chain_has_host(b->chain, a->chain->files[0].file) ||
		qcow2_chain_has_host(b->chain, a->chain->files[0].data));
}

/* In a window the image is anybody's. */
static bool qcow2_dev_is_away(const struct qcow2_dev *dev)
{
	enum qcow2_state state = READ_ONCE(dev->state);

	return state == QCOW2_STATE_FROZEN ||
	       (state == QCOW2_STATE_FAILED && READ_ONCE(dev->window.expired));
}

/**
 * qcow2_dev_check_alone() - does another device write to a file of this one's, or
 * read what this one writes?
 * @dev: the device; has a chain
 * @err: receives the reason in words
 *
 * Image locks belong to the inode that a file was opened by. One block device
 * has as many of them as it has nodes, and a file below an overlay file system
 * has two: what is written by two devices must be found here. Of two that come
 * at once, at least one sees the other, as with the locks.
 *
 * Context: may sleep; under ctl_lock.
 * Return: 0 or -EBUSY.
 */
int qcow2_dev_check_alone(struct qcow2_dev *dev, struct qcow2_err *err)
{
	struct qcow2_dev *other;
	unsigned long i;
	int ret = 0;

	mutex_lock(&qcow2_devs_lock);
	xa_for_each(&qcow2_devs, i, other) {
		if (other == dev || !other->chain || qcow2_dev_is_away(other))
			continue;
		if (qcow2_dev_writes(dev, other) || qcow2_dev_writes(other, dev)) {
			ret = qcow2_fail(err, -EBUSY,
					 "a file of the image is in use by /dev/qcow2%lu",
					 i);
			break;
		}
	}
	mutex_unlock(&qcow2_devs_lock);
	return ret;
}

static int qcow2_dev_open(struct qcow2_dev *dev, struct qcow2_chain *chain,
			  struct qcow2_err *err)
{
	struct qcow2_image *image;
	int ret;

	ret = qcow2_dev_check_alone(dev, err);
	if (ret)
		return ret;
	image = qcow2_image_open(dev, chain, err);
	if (IS_ERR(image))
		return PTR_ERR(image);
	qcow2_dev_set_image(dev, image);
	ret = qcow2_disk_add(dev, err);
	if (ret) {
		qcow2_dev_set_image(dev, NULL);
		qcow2_image_close(image);
	}
	return ret;
}

/**
 * qcow2_dev_attach() - make a device of a chain
 * @chain: the files; taken over on success
 * @flags: QCOW2_ATTACH_F_*
 * @index: in: wanted number or -1; out: the number
 * @cache_bytes: bound of the metadata cache, 0 for the default
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O.
 * Return: 0 or a negative errno.
 */
int qcow2_dev_attach(struct qcow2_chain *chain, u32 flags, s32 *index,
		     u64 cache_bytes, struct qcow2_err *err)
{
	struct qcow2_dev *dev = qcow2_dev_new(flags, cache_bytes);
	struct qcow2_chain *other = chain;
	int ret;

	if (!dev)
		return qcow2_fail(err, -ENOMEM, "not enough memory");
	ret = qcow2_dev_number(dev, *index, err);
	if (ret)
		goto err_put;
	mutex_lock(&dev->ctl_lock);
	ret = qcow2_dev_workers(dev, err);
	if (!ret)
		ret = qcow2_dev_adopt_chain(dev, &other, err);
	if (!ret) {
		ret = qcow2_dev_open(dev, chain, err);
		if (ret)
			qcow2_dev_swap_chain(dev, &other);
	}
	if (!ret) {
		*index = dev->index;
		qcow2_dev_set_live(dev);
	}
	mutex_unlock(&dev->ctl_lock);
	if (!ret)
		return 0;
	qcow2_dev_unnumber(dev);
err_put:
	qcow2_dev_put(dev);
	return ret;
}

/* Nobody has the disk open, or it is dead: let go of everything. */
static void qcow2_dev_remove(struct qcow2_dev *dev)
{
	struct qcow2_chain *chain = NULL;
	struct gendisk *disk = dev->disk;
	struct qcow2_image *image;

	qcow2_window_disarm(dev);
	/* Before that, so that nobody has its requests tried again after it. */
	qcow2_dev_forget_disk(dev);
	del_gendisk(disk);
	image = dev->image;
	qcow2_dev_set_image(dev, NULL);
	if (image) {
		if (qcow2_image_settle(image))
			pr_err("qcow2%d: detached with data that could not be written\n",
			       dev->index);
		qcow2_image_close(image);
	}
	qcow2_dev_swap_chain(dev, &chain);
	qcow2_chain_put(chain);
	qcow2_dev_unnumber(dev);
	put_disk(disk);
	qcow2_dev_put(dev);
}

/**
 * qcow2_dev_settle() - bring the image on disk into a complete and clean state
 * @dev: the device; its requests are held
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O; under ctl_lock.
 * Return: 0 or a negative errno.
 */
int qcow2_dev_settle(struct qcow2_dev *dev, struct qcow2_err *err)
{
	int ret;

	/* Of what cannot be written whoever wrote it has been told. */
	if (!dev->image || READ_ONCE(dev->image->commit.error))
		return 0;
	ret = qcow2_image_settle(dev->image);
	if (ret)
		return qcow2_fail(err, ret,
				  "/dev/qcow2%d: the image cannot be written (error %d)",
				  dev->index, ret);
	return 0;
}

static int qcow2_dev_detach_idle(struct qcow2_dev *dev, u32 flags,
				 struct qcow2_err *err)
{
	enum qcow2_state state = READ_ONCE(dev->state);
	int ret;

	ret = qcow2_disk_claim(dev);
	if (ret && flags & QCOW2_DETACH_F_DEFERRED) {
		WRITE_ONCE(dev->deferred, true);
		/* Against a close that looks at the two in reverse order. */
		smp_mb();
		/* The last close may have been missed just now. */
		ret = qcow2_disk_claim(dev);
		if (ret)
			return 0;
	}
	if (ret)
		return qcow2_fail(err, ret, "/dev/qcow2%d is in use", dev->index);
	if (state != QCOW2_STATE_FROZEN)
		qcow2_disk_hold(dev);
	ret = qcow2_dev_settle(dev, err);
	if (ret) {
		qcow2_dev_set_live(dev);
		qcow2_disk_release(dev);
		return ret;
	}
	qcow2_disk_release(dev);
	qcow2_disk_thaw_fs(dev);
	qcow2_dev_remove(dev);
	return 0;
}

static void qcow2_dev_detach_force(struct qcow2_dev *dev)
{
	bool frozen = READ_ONCE(dev->state) == QCOW2_STATE_FROZEN;

	spin_lock_irq(&dev->park_lock);
	WRITE_ONCE(dev->state, QCOW2_STATE_DETACHING);
	spin_unlock_irq(&dev->park_lock);
	qcow2_disk_unpark(dev);
	/* First what waits must fail: marking the disk dead waits for it. */
	if (frozen)
		qcow2_disk_release(dev);
	blk_mark_disk_dead(dev->disk);
	qcow2_disk_thaw_fs(dev);
	qcow2_dev_remove(dev);
}

/**
 * qcow2_dev_detach() - remove a device
 * @dev: the device
 * @flags: QCOW2_DETACH_F_*
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O.
 * Return: 0, -EBUSY if it is open, or another negative errno.
 */
int qcow2_dev_detach(struct qcow2_dev *dev, u32 flags, struct qcow2_err *err)
{
	unsigned int noio;
	int ret = 0;

	/* The lock may be held by whoever waits for a request that is parked. */
	if (flags & QCOW2_DETACH_F_FORCE)
		qcow2_disk_abandon(dev);
	noio = qcow2_dev_lock(dev);
	if (!dev->disk)
		ret = qcow2_fail(err, -ENODEV, "/dev/qcow2%d does not exist",
				 dev->index);
	else if (flags & QCOW2_DETACH_F_FORCE)
		qcow2_dev_detach_force(dev);
	else
		ret = qcow2_dev_detach_idle(dev, flags, err);
	qcow2_dev_unlock(dev, noio);
	return ret;
}

/*
 * ctl_lock is held by who opens or closes a window, for as long as a file system or a
 * full disk wants: just then users ask. But a device that is to go may be going, and
 * who asks for that may want to know when it has gone.
 */
static int qcow2_info_wait(struct qcow2_dev *dev)
{
	int ret;

	if (!READ_ONCE(dev->deferred))
		return 0;
	ret = mutex_lock_killable(&dev->ctl_lock);
	if (!ret)
		mutex_unlock(&dev->ctl_lock);
	return ret;
}

/**
 * qcow2_dev_info() - describe a device
 * @dev: the device
 * @info: in: the layer; out: the rest
 * @buf: QCOW2_PATH_MAX bytes for the layer's path
 * @path: out: the path, in @buf
 * @err: receives the reason in words
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int qcow2_dev_info(struct qcow2_dev *dev, struct qcow2_ctl_info *info,
		   char *buf, char **path, struct qcow2_err *err)
{
	unsigned int noio = memalloc_noio_save();
	struct gendisk *disk;
	int ret;

	ret = qcow2_info_wait(dev);
	if (ret)
		goto out;
	mutex_lock(&qcow2_devs_lock);
	/* It has a chain for as long as it has one. */
	disk = qcow2_dev_get_disk(dev);
	ret = disk ? qcow2_info_fill(dev, disk, info, buf, path, err) : -ENODEV;
	mutex_unlock(&qcow2_devs_lock);
	if (disk)
		put_disk(disk);
out:
	memalloc_noio_restore(noio);
	return ret;
}

/**
 * qcow2_dev_queue() - queue work that may drop the last reference to a device
 * @work: it
 *
 * Context: any.
 * Return: as queue_work().
 */
bool qcow2_dev_queue(struct work_struct *work)
{
	return queue_work(qcow2_devs_wq, work);
}

/**
 * qcow2_dev_queue_delayed() - the same, later
 * @work: it
 * @delay: in jiffies
 *
 * Context: any.
 * Return: as queue_delayed_work().
 */
bool qcow2_dev_queue_delayed(struct delayed_work *work, unsigned long delay)
{
	return queue_delayed_work(qcow2_devs_wq, work, delay);
}

/**
 * qcow2_device_module_init() - before there can be devices
 *
 * Return: 0 or -ENOMEM.
 */
int qcow2_device_module_init(void)
{
	qcow2_devs_wq = alloc_workqueue("qcow2", WQ_UNBOUND, 0);
	return qcow2_devs_wq ? 0 : -ENOMEM;
}

/**
 * qcow2_device_module_exit() - when there are no devices any more
 */
void qcow2_device_module_exit(void)
{
	destroy_workqueue(qcow2_devs_wq);
}
