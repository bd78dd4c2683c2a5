// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges of clusters (or of L2 tables) that a request is allocating.
 *
 * Who finds a range locked does not block: its waiter is called when the
 * range is unlocked, and it looks again from the beginning. A request locks
 * upwards only, so there are no circles.
 */
#include <linux/rbtree.h>
#include "qcow2.h"

/**
 * qcow2_ranges_init() - no range is locked
 * @ranges: to be set up
 */
void qcow2_ranges_init(struct qcow2_ranges *ranges)
{
	spin_lock_init(&ranges->lock);
	ranges->tree = RB_ROOT;
}

/**
 * qcow2_range_lock() - lock a range or wait for another
 * @ranges: the set
 * @range: to be locked, valid until qcow2_range_unlock()
 * @first: first unit
 * @nr: units, at least 1
 * @waiter: called back once when a range that overlaps is unlocked; or NULL
 *
 * Context: any but hard interrupt handlers of others' locks.
 * Return: true if locked; false if @waiter has been queued, if there is one.
 */
bool qcow2_range_lock(struct qcow2_ranges *ranges, struct qcow2_range *range,
		      u64 first, u64 nr, struct qcow2_waiter *waiter)
{
	struct rb_node **link = &ranges->tree.rb_node, *parent = NULL;
	unsigned long flags;

	range->first = first;
	range->nr = nr;
	INIT_LIST_HEAD(&range->waiters);
	spin_lock_irqsave(&ranges->lock, flags);
	while (*link) {
		struct qcow2_range *other =
			rb_entry(*link, struct qcow2_range, node);

		parent = *link;
		if (first + nr <= other->first) {
			link = &parent->rb_left;
		} else if (first >= other->first + other->nr) {
			link = &parent->rb_right;
		} else {
			if (waiter)
				list_add_tail(&waiter->node, &other->waiters);
			spin_unlock_irqrestore(&ranges->lock, flags);
			return false;
		}
	}
	rb_link_node(&range->node, parent, link);
	rb_insert_color(&range->node, &ranges->tree);
	spin_unlock_irqrestore(&ranges->lock, flags);
	return true;
}

/**
 * qcow2_range_unlock() - unlock a range and wake who waits for it
 * @ranges: the set
 * @range: locked
 *
 * Context: any.
 */
void qcow2_range_unlock(struct qcow2_ranges *ranges, struct qcow2_range *range)
{
	struct qcow2_waiter *waiter, *next;
	unsigned long flags;
	LIST_HEAD(waiters);

	spin_lock_irqsave(&ranges->lock, flags);
	rb_erase(&range->node, &ranges->tree);
	list_splice(&range->waiters, &waiters);
	spin_unlock_irqrestore(&ranges->lock, flags);
	list_for_each_entry_safe(waiter, next, &waiters, node)
		waiter->wake(waiter);
}
