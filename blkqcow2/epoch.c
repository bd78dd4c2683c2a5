// SPDX-License-Identifier: GPL-2.0-only
/*
 * Epochs: a freed cluster rests until every request has ended that may have
 * looked it up before (rule M4).
 *
 * Two generations take turns. A request enters the current one when it is
 * queued and leaves it when it ends. Retiring a generation makes the other
 * one current; when the retired one is empty, the refcounts of what was freed
 * before are lowered.
 */
#include <linux/delay.h>
#include <linux/slab.h>
#include "qcow2.h"

static void qcow2_epoch_empty(struct percpu_ref *ref)
{
	struct qcow2_epoch *epoch = container_of(ref, struct qcow2_epoch, ref);
	struct qcow2_image *image = epoch->image;

	queue_work(image->commit_wq, &image->epochs.work);
}

/* Runs that lie side by side are punched out of the file together. */
static void qcow2_punch_later(struct qcow2_image *image, struct qcow2_free *hole,
			      const struct qcow2_free *run)
{
	bool joins = run && run->punch && hole->nr &&
		     run->first == hole->first + hole->nr;

	if (joins) {
		hole->nr += run->nr;
		return;
	}
	if (hole->nr)
		qcow2_punch_resting(image, hole->first, hole->nr);
	hole->first = run ? run->first : 0;
	hole->nr = run && run->punch ? run->nr : 0;
}

static void qcow2_free_list(struct qcow2_image *image, struct list_head *frees)
{
	struct qcow2_free *run, *next, hole = {};

	list_for_each_entry_safe(run, next, frees, node) {
		list_del(&run->node);
		/*
		 * A failure leaks the clusters, which is allowed; that the image
		 * contradicts itself has been dealt with where it was found.
		 */
		qcow2_refcount_lower(image, run->first, run->nr, true);
		qcow2_punch_later(image, &hole, run);
		atomic_long_sub(run->nr, &image->alloc.nr_freed);
		kfree(run);
	}
	qcow2_punch_later(image, &hole, NULL);
}

static void qcow2_epoch_work(struct work_struct *work)
{
	struct qcow2_epochs *epochs =
		container_of(work, struct qcow2_epochs, work);
	struct qcow2_image *image =
		container_of(epochs, struct qcow2_image, epochs);
	unsigned int flags = qcow2_work_begin();
	struct qcow2_epoch *old = &epochs->epoch[!epochs->cur];

	qcow2_free_list(image, &epochs->frees);
	percpu_ref_reinit(&old->ref);
	/* Pairs with the acquire in qcow2_epoch_retire(). */
	smp_store_release(&epochs->draining, false);
	qcow2_work_end(flags);
}

/**
 * qcow2_epochs_init() - set up the epochs of an image
 * @image: it
 *
 * Return: 0 or -ENOMEM.
 */
int qcow2_epochs_init(struct qcow2_image *image)
{
	struct qcow2_epochs *epochs = &image->epochs;
	int i, ret;

	epochs->cur = 0;
	epochs->draining = false;
	INIT_LIST_HEAD(&epochs->frees);
	INIT_WORK(&epochs->work, qcow2_epoch_work);
	for (i = 0; i < 2; i++) {
		epochs->epoch[i].image = image;
		ret = percpu_ref_init(&epochs->epoch[i].ref, qcow2_epoch_empty,
				      PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
		if (!ret)
			continue;
		while (i--)
			percpu_ref_exit(&epochs->epoch[i].ref);
		return ret;
	}
	return 0;
}

/**
 * qcow2_epoch_wait() - wait until the retired epoch has ended
 * @image: without requests in flight
 *
 * Context: may sleep; not a worker of the image.
 */
void qcow2_epoch_wait(struct qcow2_image *image)
{
	/* An RCU grace period away, on a path where nobody is in a hurry. */
	while (smp_load_acquire(&image->epochs.draining))
		usleep_range(100, 1000);
}

/**
 * qcow2_epochs_exit() - tear the epochs down
 * @image: has no requests in flight
 */
void qcow2_epochs_exit(struct qcow2_image *image)
{
	struct qcow2_epochs *epochs = &image->epochs;
	struct qcow2_free *run, *next;

	qcow2_epoch_wait(image);
	flush_work(&epochs->work);
	list_for_each_entry_safe(run, next, &epochs->frees, node)
		kfree(run);
	percpu_ref_exit(&epochs->epoch[0].ref);
	percpu_ref_exit(&epochs->epoch[1].ref);
}

/**
 * qcow2_epoch_enter() - a request begins
 * @image: it is for
 *
 * Context: any; does not sleep.
 * Return: the epoch, for qcow2_epoch_leave().
 */
struct qcow2_epoch *qcow2_epoch_enter(struct qcow2_image *image)
{
	struct qcow2_epochs *epochs = &image->epochs;
	struct qcow2_epoch *epoch;

	rcu_read_lock();
	do {
		/* Pairs with the release in qcow2_epoch_retire(). */
		epoch = &epochs->epoch[smp_load_acquire(&epochs->cur)];
	} while (!percpu_ref_tryget_live_rcu(&epoch->ref));
	rcu_read_unlock();
	return epoch;
}

/**
 * qcow2_epoch_leave() - a request has ended
 * @epoch: that it entered
 *
 * Context: any.
 */
void qcow2_epoch_leave(struct qcow2_epoch *epoch)
{
	percpu_ref_put(&epoch->ref);
}

/**
 * qcow2_epoch_retire() - free clusters when their last users have ended
 * @image: the image
 * @frees: runs whose L2 entries are durably changed; taken over on success
 *
 * Context: the commit worker.
 * Return: false if the last retired epoch has not ended yet.
 */
bool qcow2_epoch_retire(struct qcow2_image *image, struct list_head *frees)
{
	struct qcow2_epochs *epochs = &image->epochs;
	int old = epochs->cur;

	/* Pairs with the release in qcow2_epoch_work(). */
	if (smp_load_acquire(&epochs->draining))
		return false;
	list_splice_init(frees, &epochs->frees);
	epochs->draining = true;
	/* Pairs with the acquire in qcow2_epoch_enter(). */
	smp_store_release(&epochs->cur, !old);
	percpu_ref_kill(&epochs->epoch[old].ref);
	return true;
}
