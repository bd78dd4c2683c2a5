/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_RUN_H
#define QCOW2CTL_RUN_H

#include <sys/types.h>

#include "message.h"

int wait_for(pid_t pid, int *status);
int run_qemu_img(char **argv, struct message *why);

#endif /* QCOW2CTL_RUN_H */
