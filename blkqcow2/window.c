// SPDX-License-Identifier: GPL-2.0-only
/*
 * The window: freeze, thaw, and what happens if nobody thaws.
 *
 *	live -> freezing -> frozen -> thawing -> live
 *
 * A window whose time is over is closed by the kernel: with the files that the
 * device has, or, if its owner has asked for that, by letting all I/O fail.
 */
#include <linux/blk-mq.h>
#include <linux/ktime.h>
#include "qcow2.h"
#define CREATE_TRACE_POINTS
#include "trace.h"

/* Milliseconds until a thaw is tried again that somebody's lock forbids. */
#define QCOW2_EXPIRY_RETRY	500

/* Milliseconds: more than a week, and less than the timers can do. */
#define QCOW2_MAX_TIMEOUT	700000000U

/* Device numbers come again, these do not. */
static atomic64_t qcow2_windows = ATOMIC64_INIT(0);

static void qcow2_window_step(struct qcow2_dev *dev, const char *step,
			      int ret)
{
	trace_qcow2_window(dev->index, dev->window.id, step, ret);
}

static int qcow2_window_expect(struct qcow2_dev *dev, enum qcow2_state want,
			       int error, struct qcow2_err *err)
{
	enum qcow2_state state = READ_ONCE(dev->state);

	if (dev->disk && state == want)
		return 0;
	return qcow2_fail(err, dev->disk ? error : -ENODEV,
			  "/dev/qcow2%d is %s", dev->index,
			  dev->disk ? qcow2_state_name(state) : "detached");
}

/* The timer holds a reference to the device while it is armed. */
static void qcow2_window_queue(struct qcow2_dev *dev, u32 ms)
{
	refcount_inc(&dev->ref);
	if (!qcow2_dev_queue_delayed(&dev->window.expiry, msecs_to_jiffies(ms)))
		refcount_dec(&dev->ref);
}

static void qcow2_window_arm(struct qcow2_dev *dev, u32 ms)
{
	dev->window.expires = ktime_add_ms(ktime_get(), ms);
	qcow2_window_queue(dev, ms);
}

/**
 * qcow2_window_disarm() - the window is not to be ended by its timer
 * @dev: the device
 *
 * Context: any; under ctl_lock. The timer's work may be waiting for that: it finds
 * that no time is set, or one that is not over.
 */
void qcow2_window_disarm(struct qcow2_dev *dev)
{
	lockdep_assert_held(&dev->ctl_lock);
	dev->window.expires = KTIME_MAX;
	if (cancel_delayed_work(&dev->window.expiry))
		qcow2_dev_put(dev);
}

static int qcow2_window_open(struct qcow2_dev *dev, struct qcow2_err *err)
{
	struct qcow2_image *image = dev->image;
	int ret = 0;

	if (dev->window.fs) {
		ret = qcow2_disk_freeze_fs(dev, err);
		qcow2_window_step(dev, "fs-frozen", ret);
		if (ret)
			return ret;
	}
	qcow2_disk_hold(dev);
	qcow2_window_step(dev, "requests-held", 0);
	/* What has been written is lost with the image, unless it is on disk. */
	ret = READ_ONCE(image->commit.error);
	if (ret)
		qcow2_fail(err, ret, "/dev/qcow2%d has failed (error %d)",
			   dev->index, ret);
	else
		ret = qcow2_dev_settle(dev, err);
	qcow2_window_step(dev, "settled", ret);
	if (ret) {
		qcow2_disk_release(dev);
		return ret;
	}
	qcow2_dev_set_image(dev, NULL);
	qcow2_image_close(image);
	return 0;
}

/**
 * qcow2_dev_freeze() - open a window
 * @dev: the device
 * @how: flags and time; receives what names the window
 * @mounts: file systems to freeze beside those that block devices know of; may be
 *	NULL; taken over
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O.
 * Return: 0, -EBUSY if a window is open, or another negative errno; then the
 * device is live.
 */
int qcow2_dev_freeze(struct qcow2_dev *dev, struct qcow2_ctl_freeze *how,
		     struct qcow2_mounts *mounts, struct qcow2_err *err)
{
	unsigned int noio;
	int ret;

	if (how->timeout_ms > QCOW2_MAX_TIMEOUT) {
		qcow2_mounts_put(mounts);
		return qcow2_fail(err, -EINVAL, "a window's time is too long");
	}
	noio = qcow2_dev_lock(dev);
	ret = qcow2_window_expect(dev, QCOW2_STATE_LIVE, -EBUSY, err);
	if (ret)
		goto out;
	dev->window.id = atomic64_inc_return(&qcow2_windows);
	how->window = dev->window.id;
	WRITE_ONCE(dev->window.fs, !(how->head.flags & QCOW2_FREEZE_F_NO_FS));
	dev->window.fails = how->head.flags & QCOW2_FREEZE_F_FAIL;
	swap(dev->window.mounts, mounts);
	qcow2_window_step(dev, "freeze", 0);
	WRITE_ONCE(dev->state, QCOW2_STATE_FREEZING);
	ret = qcow2_window_open(dev, err);
	if (ret) {
		qcow2_disk_thaw_fs(dev);
		WRITE_ONCE(dev->window.fs, false);
		qcow2_dev_set_live(dev);
		goto out;
	}
	WRITE_ONCE(dev->window.since, ktime_get());
	WRITE_ONCE(dev->state, QCOW2_STATE_FROZEN);
	qcow2_window_step(dev, "frozen", 0);
	if (how->timeout_ms)
		qcow2_window_arm(dev, how->timeout_ms);
out:
	qcow2_dev_unlock(dev, noio);
	qcow2_mounts_put(mounts);
	if (!ret)
		qcow2_dev_event(dev, QCOW2_STATE_FROZEN);
	return ret;
}

/* What is cut off must not be in use, unless whoever thaws knows that. */
static int qcow2_window_check_size(struct qcow2_dev *dev,
				   const struct qcow2_image *image, u32 flags,
				   struct qcow2_err *err)
{
	u64 sectors = image->size >> SECTOR_SHIFT;

	if (flags & QCOW2_THAW_F_SHRINK || !qcow2_disk_used_beyond(dev, sectors))
		return 0;
	return qcow2_fail(err, -EFBIG,
			  "/dev/qcow2%d: the image is smaller than before, and what would be cut off is in use: make it larger again, or thaw with --force",
			  dev->index);
}

static int qcow2_window_check_image(struct qcow2_dev *dev,
				    struct qcow2_image *image, u32 flags,
				    struct qcow2_err *err)
{
	if (!qcow2_disk_fits(dev->disk, image))
		return qcow2_fail(err, -EINVAL,
				  "/dev/qcow2%d: the new chain needs larger blocks than the disk has",
				  dev->index);
	image->size = round_down(image->size,
				 queue_logical_block_size(dev->disk->queue));
	return qcow2_window_check_size(dev, image, flags, err);
}

static int qcow2_window_close(struct qcow2_dev *dev, u32 flags,
			      struct qcow2_err *err)
{
	struct qcow2_image *image;
	int ret;

	ret = qcow2_dev_check_alone(dev, err);
	if (ret)
		return ret;
	image = qcow2_image_open(dev, dev->chain, err);
	if (IS_ERR(image))
		return PTR_ERR(image);
	ret = qcow2_window_check_image(dev, image, flags, err);
	if (ret) {
		qcow2_image_close(image);
		return ret;
	}
	set_capacity_and_notify(dev->disk, image->size >> SECTOR_SHIFT);
	qcow2_dev_set_image(dev, image);
	return 0;
}

/* By the name of the image alone another disk would slip in. */
static int qcow2_window_check_file(struct qcow2_dev *dev,
				   const struct qcow2_chain *chain, u32 flags,
				   struct qcow2_err *err)
{
	if (!chain || flags & QCOW2_THAW_F_IMAGE ||
	    chain->files[0].file->f_mapping->host ==
	    dev->chain->files[0].file->f_mapping->host)
		return 0;
	return qcow2_fail(err, -ESTALE,
			  "/dev/qcow2%d: its image is another file than before: if that is to take its place, say so with --image",
			  dev->index);
}

/* Under ctl_lock. Takes @chain over on success. */
static int qcow2_window_thaw(struct qcow2_dev *dev, struct qcow2_chain *chain,
			     u32 flags, struct qcow2_err *err)
{
	enum qcow2_state before = READ_ONCE(dev->state);
	struct qcow2_chain *other = chain;
	int ret;

	qcow2_window_step(dev, "thaw", 0);
	ret = qcow2_window_check_file(dev, chain, flags, err);
	if (!ret && chain)
		ret = qcow2_dev_adopt_chain(dev, &other, err);
	if (ret)
		return ret;
	WRITE_ONCE(dev->state, QCOW2_STATE_THAWING);
	if (before == QCOW2_STATE_FAILED)
		qcow2_disk_hold(dev);
	ret = qcow2_window_close(dev, flags, err);
	qcow2_window_step(dev, "opened", ret);
	if (ret) {
		if (chain)
			qcow2_dev_swap_chain(dev, &other);
		WRITE_ONCE(dev->state, before);
		if (before == QCOW2_STATE_FAILED)
			qcow2_disk_release(dev);
		return ret;
	}
	/* The chain that it had. */
	qcow2_chain_put(other);
	qcow2_window_disarm(dev);
	WRITE_ONCE(dev->window.expired, false);
	qcow2_dev_set_reason(dev, "");
	qcow2_dev_set_live(dev);
	set_disk_ro(dev->disk, dev->readonly);
	qcow2_window_step(dev, "live", 0);
	qcow2_disk_release(dev);
	qcow2_disk_unpark(dev);
	qcow2_disk_thaw_fs(dev);
	WRITE_ONCE(dev->window.fs, false);
	return 0;
}

static int qcow2_window_is_open(struct qcow2_dev *dev, u64 window,
				struct qcow2_err *err)
{
	bool open = dev->disk && (dev->window.expired ||
				  READ_ONCE(dev->state) == QCOW2_STATE_FROZEN);

	/* It was closed, and perhaps another one opened. */
	if (dev->disk && window && (window != dev->window.id || !open))
		return qcow2_fail(err, -ECANCELED,
				  "/dev/qcow2%d: this window has been closed already",
				  dev->index);
	if (open)
		return 0;
	return qcow2_window_expect(dev, QCOW2_STATE_FROZEN, -EINVAL, err);
}

/**
 * qcow2_dev_thaw() - close a window
 * @dev: the device
 * @chain: the files to go on with, taken over on success; or NULL for those
 *	that the device has
 * @flags: QCOW2_THAW_F_*
 * @window: the one to close, or 0 for any
 * @err: receives the reason in words
 *
 * Context: may sleep and do I/O.
 * Return: 0, -EINVAL if no window is open, or another negative errno; then
 * the device stays frozen.
 */
int qcow2_dev_thaw(struct qcow2_dev *dev, struct qcow2_chain *chain, u32 flags,
		   u64 window, struct qcow2_err *err)
{
	unsigned int noio;
	int ret;

	noio = qcow2_dev_lock(dev);
	ret = qcow2_window_is_open(dev, window, err);
	if (!ret) {
		ret = qcow2_window_thaw(dev, chain, flags, err);
		if (ret)
			qcow2_dev_set_reason(dev, err->text);
	}
	qcow2_dev_unlock(dev, noio);
	if (!ret)
		qcow2_dev_event(dev, QCOW2_STATE_LIVE);
	return ret;
}

/* All that waits is to fail, and all that comes, until somebody thaws. */
static void qcow2_window_fail(struct qcow2_dev *dev)
{
	WRITE_ONCE(dev->window.expired, true);
	qcow2_dev_set_reason(dev, "the window was not closed in time");
	pr_err("qcow2%d: the window was not closed in time, I/O fails until it is thawed\n",
	       dev->index);
	WRITE_ONCE(dev->state, QCOW2_STATE_FAILED);
	qcow2_window_step(dev, "failed", 0);
	qcow2_disk_release(dev);
	qcow2_disk_unpark(dev);
	qcow2_disk_thaw_fs(dev);
}

/* Files that were deleted, or replaced, are not to come back by themselves. */
static int qcow2_window_check_names(struct qcow2_dev *dev, struct qcow2_err *err)
{
	const struct qcow2_chain *chain = dev->chain;
	u32 i;

	for (i = 0; i < chain->nr; i++) {
		struct file *data = chain->files[i].data;

		if (!file_inode(chain->files[i].file)->i_nlink ||
		    (data && !file_inode(data)->i_nlink))
			return qcow2_fail(err, -ESTALE,
					  "/dev/qcow2%d: the file of layer %u was deleted or replaced in the window",
					  dev->index, i);
	}
	return 0;
}

static void qcow2_window_thaw_late(struct qcow2_dev *dev)
{
	struct qcow2_err err = {};
	int ret;

	ret = qcow2_window_check_names(dev, &err);
	if (!ret)
		ret = qcow2_window_thaw(dev, NULL, 0, &err);
	qcow2_window_step(dev, "expired", ret);
	if (!ret) {
		pr_warn("qcow2%d: the window was not closed in time, thawed it\n",
			dev->index);
		return;
	}
	/* Memory may be short because of all that waits here. */
	if (ret == -EAGAIN || ret == -EBUSY || ret == -ENOMEM) {
		qcow2_window_arm(dev, QCOW2_EXPIRY_RETRY);
		return;
	}
	dev->window.expires = KTIME_MAX;
	qcow2_dev_set_reason(dev, err.text);
	pr_err("qcow2%d: the window was not closed in time, and stays open: %s\n",
	       dev->index, err.text);
}

static void qcow2_window_end(struct qcow2_dev *dev)
{
	s64 left = ktime_us_delta(dev->window.expires, ktime_get());

	if (left > 0)
		/* Jiffies may have been behind when they were counted from. */
		qcow2_window_queue(dev, div_u64(left, USEC_PER_MSEC) + 1);
	else if (dev->window.fails)
		qcow2_window_fail(dev);
	else
		qcow2_window_thaw_late(dev);
}

static void qcow2_window_expire(struct work_struct *work)
{
	struct qcow2_dev *dev = container_of(to_delayed_work(work),
					     struct qcow2_dev, window.expiry);
	enum qcow2_state state = QCOW2_STATE_FROZEN;
	unsigned int noio = qcow2_dev_lock(dev);

	/* Another window may have been opened since, and have its own time or none. */
	if (dev->disk && READ_ONCE(dev->state) == QCOW2_STATE_FROZEN &&
	    dev->window.expires != KTIME_MAX) {
		qcow2_window_end(dev);
		state = READ_ONCE(dev->state);
	}
	qcow2_dev_unlock(dev, noio);
	if (state != QCOW2_STATE_FROZEN)
		qcow2_dev_event(dev, state);
	qcow2_dev_put(dev);
}

/**
 * qcow2_window_init() - prepare a device for windows
 * @dev: the device
 */
void qcow2_window_init(struct qcow2_dev *dev)
{
	dev->window.expires = KTIME_MAX;
	INIT_DELAYED_WORK(&dev->window.expiry, qcow2_window_expire);
}

/**
 * qcow2_dev_resume() - there is space again for requests that wait for it
 * @dev: the device
 * @err: receives the reason in words
 *
 * Context: any; without ctl_lock, which may be held by a freeze or a thaw that waits
 * for these very requests.
 * Return: 0, or -EINVAL if the device is not to be resumed.
 */
int qcow2_dev_resume(struct qcow2_dev *dev, struct qcow2_err *err)
{
	enum qcow2_state state = READ_ONCE(dev->state);

	if (state != QCOW2_STATE_LIVE && state != QCOW2_STATE_FREEZING &&
	    state != QCOW2_STATE_THAWING)
		return qcow2_fail(err, -EINVAL, "/dev/qcow2%d is %s", dev->index,
				  qcow2_state_name(state));
	qcow2_disk_unpark(dev);
	return 0;
}
