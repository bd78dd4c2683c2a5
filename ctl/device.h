/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_DEVICE_H
#define QCOW2CTL_DEVICE_H

#include <stdbool.h>
#include <stdio.h>

#include "message.h"

/* /dev/qcow2N; arguments of printf. */
#define DEVICE_FORMAT	"/dev/qcow2%d"

/* How long to wait for what others are about to finish. */
#define DEVICE_RETRIES	30
#define DEVICE_PAUSE_MS	100

int device_index(const char *name, int *index, struct message *why);
int device_wait(int index);
bool device_user(int index, struct message *user);
void device_pause(void);

bool find_mount(FILE *mountinfo, int index, struct message *user);

#endif /* QCOW2CTL_DEVICE_H */
