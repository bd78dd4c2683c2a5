/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_CHAIN_H
#define QCOW2CTL_CHAIN_H

#include <linux/blkqcow2.h>
#include <stdbool.h>

#include "file.h"
#include "message.h"

/*
 * struct layer - one image of the chain
 * @file: the image
 * @data: the external data file that its header asks for, if any
 * @format: &enum qcow2_layer_format
 */
struct layer {
	struct file file;
	struct file data;
	unsigned int format;
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
