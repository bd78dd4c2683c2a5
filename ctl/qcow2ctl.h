/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * qcow2ctl: what all of its files share
 */
#ifndef QCOW2CTL_H
#define QCOW2CTL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "message.h"

#define QCOW2CTL_VERSION	"0.1"

/* Exit codes, documented in every --help. */
enum {
	EXIT_OK		= 0,
	EXIT_FAILED	= 1,
	EXIT_USAGE	= 2,
	/* it could not be thawed, after a window, snapshot or overlay */
	EXIT_FROZEN	= 124,
	/* of "window" only; others are those of its COMMAND */
	EXIT_NOT_RUN	= 125,
	EXIT_NOT_EXEC	= 126,
	EXIT_NOT_FOUND	= 127,
	EXIT_SIGNAL	= 128,
};

struct command {
	const char *name;
	const char *summary;
	const char *usage;
	int (*run)(const struct command *self, int argc, char **argv);
};

extern const struct command attach_command;
extern const struct command detach_command;
extern const struct command list_command;
extern const struct command info_command;
extern const struct command freeze_command;
extern const struct command thaw_command;
extern const struct command resume_command;
extern const struct command window_command;
extern const struct command snapshot_command;
extern const struct command overlay_command;

/* Options that every command has. */
#define COMMON_SHORT	"hVv"
#define COMMON_LONG					\
	{ "help", no_argument, NULL, 'h' },		\
	{ "version", no_argument, NULL, 'V' },		\
	{ "verbose", no_argument, NULL, 'v' },		\
	{ NULL, 0, NULL, 0 }

int common_option(const struct command *self, int c);
__printf(1, 2) int usage_error(const char *fmt, ...);

#endif /* QCOW2CTL_H */
