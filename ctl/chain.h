/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_CHAIN_H
#define QCOW2CTL_CHAIN_H

#include <linux/blkqcow2.h>
#include <stdbool.h>
#include <stdint.h>

#include "file.h"
#include "message.h"

/*
 * struct layer - one image of the chain
 * @file: the image
 * @data: the external data file that its header asks for, if any
 * @format: &enum qcow2_layer_format
 * @incompatible: feature bits, HEADER_INCOMPAT_*; 0 for raw
 */
struct layer {
	struct file file;
	struct file data;
	unsigned int format;
	uint64_t incompatible;
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

/* What keeps the driver from writing to the active layer. */
enum chain_health {
	CHAIN_CLEAN,		/* nothing, or it is not to be written */
	CHAIN_DIRTY,		/* was not closed cleanly: needs repair */
	CHAIN_CORRUPT,		/* was found to be damaged */
};

int chain_open(struct chain *chain, const char *image, bool readonly,
	       struct message *why);
void chain_close(struct chain *chain);
enum chain_health chain_health(const struct chain *chain);
void chain_export(const struct chain *chain,
		  struct qcow2_ctl_layer out[QCOW2_MAX_LAYERS]);

#endif /* QCOW2CTL_CHAIN_H */
