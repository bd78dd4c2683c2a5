/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_RUN_H
#define QCOW2CTL_RUN_H

#include <sys/types.h>

#include "message.h"

/* Open files that qemu-img can be handed. */
#define RUN_KEPT	2

/*
 * struct run - one run of qemu-img
 * @argv: it, and its arguments
 * @keep: open files that it inherits under the same numbers, -1 for none
 * @status: out: its wait status
 * @said: out: the last line that it printed, which tells most
 */
struct run {
	char **argv;
	int keep[RUN_KEPT];
	int status;
	struct message said;
};

int run(struct run *r);
int run_qemu_img(char **argv, struct message *why);

#endif /* QCOW2CTL_RUN_H */
