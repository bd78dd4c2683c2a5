/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_MOUNTS_H
#define QCOW2CTL_MOUNTS_H

#include <linux/blkqcow2.h>
#include <stdint.h>

#include "message.h"

/*
 * struct mounts - file systems on a device that its block device does not know of
 * @fds: one open directory of each
 * @nr: how many
 */
struct mounts {
	int32_t fds[QCOW2_MAX_MOUNTS];
	unsigned int nr;
};

int mounts_open(struct mounts *mounts, int index, struct message *why);
void mounts_close(struct mounts *mounts);

#endif /* QCOW2CTL_MOUNTS_H */
