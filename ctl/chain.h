/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_CHAIN_H
#define QCOW2CTL_CHAIN_H

#include <linux/blkqcow2.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "message.h"

/*
 * struct layer - one file of an image
 * @path: the name that it was opened by
 * @fd: the open file
 * @format: &enum qcow2_layer_format
 * @id: device and inode, to see a file that comes twice
 */
struct layer {
	char *path;
	int fd;
	unsigned int format;
	struct {
		bool blockdev;
		dev_t dev;
		ino_t ino;
	} id;
};

/*
 * struct chain - an image: the active layer first, the base last
 * @layers: the open layers
 * @nr: how many
 * @readonly: the active layer is open for reading only
 */
struct chain {
	struct layer layers[QCOW2_MAX_LAYERS];
	unsigned int nr;
	bool readonly;
};

int chain_open(struct chain *chain, const char *image, bool readonly,
	       struct message *why);
void chain_close(struct chain *chain);
void chain_export(const struct chain *chain,
		  struct qcow2_ctl_layer out[QCOW2_MAX_LAYERS]);

#endif /* QCOW2CTL_CHAIN_H */
