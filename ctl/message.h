/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_MESSAGE_H
#define QCOW2CTL_MESSAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#define __printf(fmt, args)	__attribute__((format(printf, fmt, args)))

/* Why something failed, in words, on its way up to whom it concerns. */
struct message {
	char text[3 * PATH_MAX];
};

void message_command(const char *name);
void message_verbose(void);

__printf(2, 3) void message_set(struct message *m, const char *fmt, ...);
__printf(1, 2) void complain(const char *fmt, ...);
__printf(1, 2) void explain(const char *fmt, ...);
char *message_line(const char *text);
void fputs_escaped(const char *text, FILE *f);

#endif /* QCOW2CTL_MESSAGE_H */
