/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_FREEZE_H
#define QCOW2CTL_FREEZE_H

#include "control.h"
#include "message.h"

int device_freeze(struct control *control, int index, unsigned int flags,
		  struct message *why);
int device_thaw(struct control *control, int index, struct message *why);

#endif /* QCOW2CTL_FREEZE_H */
