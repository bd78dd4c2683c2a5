// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that cannot be served now and would be later: for want of memory, or,
 * if the device was attached so, of space on the host's disk.
 *
 * Such a request goes back to the block layer and begins anew: after a moment, or
 * when somebody says that there is space. It holds nothing of the image meanwhile,
 * so a window may be opened, and it finds another image when it is closed.
 */
#include <linux/blk-mq.h>
#include "qcow2.h"

/* Milliseconds until a request that found no memory is tried again. */
#define QCOW2_MEMORY_DELAY	50

/**
 * qcow2_error_is_space() - is something full, a disk or a quota?
 * @error: negative errno of an I/O
 */
bool qcow2_error_is_space(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

/**
 * qcow2_error_passes() - would the same be possible later?
 * @error: negative errno of an I/O or an allocation that has changed nothing
 */
bool qcow2_error_passes(int error)
{
	return error == -ENOMEM || qcow2_error_is_space(error);
}

/**
 * qcow2_req_status() - what the block layer is told
 * @error: 0 or the negative errno that a request ends with
 */
blk_status_t qcow2_req_status(int error)
{
	return qcow2_error_is_space(error) ? BLK_STS_NOSPC :
					     errno_to_blk_status(error);
}

/**
 * qcow2_req_park() - have a request tried again that has failed
 * @req: all its parts have ended, and it has left its epoch
 * @error: negative errno that it would end with
 *
 * Context: any.
 * Return: true if it is the block layer's again; false if it must end.
 */
bool qcow2_req_park(struct qcow2_req *req, int error)
{
	struct request *rq = blk_mq_rq_from_pdu(req);
	struct qcow2_dev *dev = rq->q->queuedata;
	bool space = qcow2_error_is_space(error);
	unsigned long flags;
	bool parked = false;

	if (!qcow2_error_passes(error) || (space && !dev->park))
		return false;
	/*
	 * None may be parked any more when a forced detach looks for the last time, or
	 * who has made the image fail.
	 */
	spin_lock_irqsave(&dev->park_lock, flags);
	if (!qcow2_dev_is_leaving(dev) &&
	    !(space && READ_ONCE(req->image->commit.error))) {
		parked = true;
		if (space)
			qcow2_dev_nospace(dev, true);
		blk_mq_requeue_request(rq, false);
		if (!space)
			blk_mq_delay_kick_requeue_list(dev->disk->queue,
						       QCOW2_MEMORY_DELAY);
	}
	spin_unlock_irqrestore(&dev->park_lock, flags);
	return parked;
}

/**
 * qcow2_disk_unpark() - let all requests be tried again that are parked
 * @dev: the device
 *
 * Context: any; without ctl_lock, which may be held by whoever waits for them.
 */
void qcow2_disk_unpark(struct qcow2_dev *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->park_lock, flags);
	qcow2_dev_nospace(dev, false);
	if (dev->disk)
		blk_mq_kick_requeue_list(dev->disk->queue);
	spin_unlock_irqrestore(&dev->park_lock, flags);
}

/**
 * qcow2_disk_abandon() - let all requests fail that are parked, or would be
 * @dev: the device; is detached by force
 *
 * Context: any; as qcow2_disk_unpark().
 */
void qcow2_disk_abandon(struct qcow2_dev *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->park_lock, flags);
	WRITE_ONCE(dev->abandoned, true);
	spin_unlock_irqrestore(&dev->park_lock, flags);
	qcow2_disk_unpark(dev);
}
