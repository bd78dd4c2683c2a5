/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_REPAIR_H
#define QCOW2CTL_REPAIR_H

#include "chain.h"
#include "message.h"

/* The command that mends what is wrong with an image, for messages. */
#define REPAIR_COMMAND	"qemu-img check -r all"

int repair_image(struct chain *chain, struct message *why);

#endif /* QCOW2CTL_REPAIR_H */
