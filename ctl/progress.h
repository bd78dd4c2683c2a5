/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_PROGRESS_H
#define QCOW2CTL_PROGRESS_H

#include "message.h"

__printf(1, 2) void step_begin(const char *fmt, ...);
void step_end(void);

void progress_pause(void);
void progress_continue(void);

#endif /* QCOW2CTL_PROGRESS_H */
