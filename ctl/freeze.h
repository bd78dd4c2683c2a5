/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_FREEZE_H
#define QCOW2CTL_FREEZE_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "message.h"

/*
 * struct freeze_how - what kind of window
 * @no_fs: file systems on the device are left alone
 * @fails: when the time is over the device is to fail, not to be thawed
 * @seconds: until then, 0 for never
 */
struct freeze_how {
	bool no_fs;
	bool fails;
	unsigned int seconds;
};

/* Options of all commands that open a window, and what their usage says of them. */
#define FREEZE_LONG_SHORT					\
	{ "no-fs-freeze", no_argument, NULL, 'n' },		\
	{ "timeout", required_argument, NULL, 't' }
#define FREEZE_LONG						\
	FREEZE_LONG_SHORT,					\
	{ "on-timeout", required_argument, NULL, 'T' }
#define FREEZE_SHORT_SHORT	"nt:"
#define FREEZE_SHORT		FREEZE_SHORT_SHORT "T:"
#define FREEZE_USAGE_SHORT								\
" -n, --no-fs-freeze      do not freeze the file systems on the device\n"		\
" -t, --timeout SECONDS   end the window after that time, whatever becomes of\n"	\
"                         qcow2ctl\n"
#define FREEZE_USAGE FREEZE_USAGE_SHORT							\
" -T, --on-timeout WHAT   'thaw' (the default), or 'fail': let the I/O fail that\n"	\
"                         waits, until somebody thaws the device\n"

/*
 * struct thaw_how - what a window may have done
 * @image: the image to go on with, NULL for the one that the device has
 * @force: a disk in use may become smaller
 * @window: the window to be closed, 0 for any
 * @timed: the kernel may have closed it
 */
struct thaw_how {
	const char *image;
	bool force;
	uint64_t window;
	bool timed;
};

int device_open(const char *name, struct control *control, int *index);
int freeze_option(struct freeze_how *how, int c);
int freeze_check(const struct freeze_how *how);
int device_freeze(struct control *control, int index, const struct freeze_how *how,
		  unsigned int grace_ms, uint64_t *window, struct message *why);
/* Milliseconds for qcow2ctl to thaw before the kernel does, who knows of no new chain. */
#define THAW_GRACE_MS	5000

int end_window(struct control *control, int index, const struct thaw_how *how, int status);
int device_thaw(struct control *control, int index, const struct thaw_how *how,
		struct message *why);

#endif /* QCOW2CTL_FREEZE_H */
