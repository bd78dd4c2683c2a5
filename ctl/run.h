/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_RUN_H
#define QCOW2CTL_RUN_H

#include "message.h"

int run_qemu_img(char **argv, struct message *why);

#endif /* QCOW2CTL_RUN_H */
