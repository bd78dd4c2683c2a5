/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_CONTROL_H
#define QCOW2CTL_CONTROL_H

#include <linux/blkqcow2.h>

#include "message.h"

/*
 * struct control - the open control device
 * @fd: of /dev/qcow2-control
 * @text: why the last call failed
 */
struct control {
	int fd;
	char text[4 * PATH_MAX];
};

int control_open(struct control *control, struct message *why);
void control_close(struct control *control);
int control_call(struct control *control, unsigned long request,
		 struct qcow2_ctl_head *head);

int control_info(struct control *control, struct qcow2_ctl_info *info,
		 char path[QCOW2_PATH_MAX]);
int control_next(struct control *control, struct qcow2_ctl_info *info,
		 char path[QCOW2_PATH_MAX]);
int control_detach(struct control *control, int index, unsigned int flags);

const char *state_name(unsigned int state);

#endif /* QCOW2CTL_CONTROL_H */
