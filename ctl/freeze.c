// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl freeze, thaw and resume: what stops I/O, and lets it go on
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"
#include "control.h"
#include "device.h"
#include "freeze.h"
#include "header.h"
#include "mounts.h"
#include "progress.h"
#include "qcow2ctl.h"
#include "repair.h"

static const char freeze_usage[] =
"Usage: qcow2ctl freeze [OPTION...] DEV\n"
"\n"
"Open a maintenance window: bring the image on disk into a complete and clean\n"
"state and let go of it, so that qemu-img may change it. I/O to the device\n"
"waits until 'qcow2ctl thaw DEV'.\n"
"\n"
"Options:\n"
FREEZE_USAGE
" -h, --help              this text\n"
" -V, --version           the version\n"
" -v, --verbose           explain on standard error what is done\n"
"\n"
"Exit status: 0 frozen, 1 failed (the device is live as before), 2 wrong usage.\n";

static const char thaw_usage[] =
"Usage: qcow2ctl thaw [OPTION...] DEV\n"
"\n"
"Close a maintenance window: read the image, its backing and data files again,\n"
"as they are named now, and let the I/O go on that waits.\n"
"\n"
"Options:\n"
" -i, --image FILE   go on with FILE: a new overlay, what a commit has left, or\n"
"                    a copy of the image; else the image must be the same file\n"
" -f, --force        also if the disk becomes smaller and what is cut off is in\n"
"                    use\n"
" -h, --help         this text\n"
" -V, --version      the version\n"
" -v, --verbose      explain on standard error what is done\n"
"\n"
"Exit status: 0 live again, 1 failed (the device is frozen as before), 2 wrong\n"
"usage.\n";

static const char resume_usage[] =
"Usage: qcow2ctl resume DEV\n"
"\n"
"Try the I/O again that waits because there was no space left for the image.\n"
"The device was attached with --on-enospc=park. What still finds no space waits\n"
"on.\n"
"\n"
"Options:\n"
" -h, --help      this text\n"
" -V, --version   the version\n"
" -v, --verbose   explain on standard error what is done\n"
"\n"
"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static const struct option freeze_options[] = { FREEZE_LONG, COMMON_LONG };

static const struct option thaw_options[] = {
	{ "force", no_argument, NULL, 'f' },
	{ "image", required_argument, NULL, 'i' },
	COMMON_LONG
};

static const struct option resume_options[] = { COMMON_LONG };

/* A week: the kernel counts milliseconds in 32 bits. */
#define SECONDS_MAX	604800u

static int parse_seconds(const char *text, unsigned int *seconds)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || !n || n > SECONDS_MAX)
		return usage_error("--timeout %s: not a number of seconds from 1 to %u",
				   text, SECONDS_MAX);
	*seconds = n;
	return -1;
}

/* Returns an exit status, or -1 to go on. */
int freeze_check(const struct freeze_how *how)
{
	if (how->fails && !how->seconds)
		return usage_error("--on-timeout fail: there is no --timeout");
	return -1;
}

/*
 * Handles an option of FREEZE_LONG. Returns an exit status, -1 to go on, or -2 if it
 * is none of those.
 */
int freeze_option(struct freeze_how *how, int c)
{
	switch (c) {
	case 'n':
		how->no_fs = true;
		return -1;
	case 't':
		return parse_seconds(optarg, &how->seconds);
	case 'T':
		how->fails = !strcmp(optarg, "fail");
		if (!how->fails && strcmp(optarg, "thaw"))
			return usage_error("--on-timeout %s: not 'thaw' or 'fail'", optarg);
		return -1;
	default:
		return -2;
	}
}

/*
 * The kernel names a file that was deleted or replaced ("mv new old") "old
 * (deleted)". Returns how long its name was, or 0 if it still stands for it.
 */
static size_t deleted_name(const char *path)
{
	static const char suffix[] = " (deleted)";
	size_t len = strlen(path);

	if (len < sizeof(suffix) || strcmp(path + len - (sizeof(suffix) - 1), suffix) ||
	    !access(path, F_OK))
		return 0;
	return len - (sizeof(suffix) - 1);
}

/* Does the name of a layer's file, or of its data file, still stand for it? */
static int check_name(struct control *control, struct qcow2_ctl_info *info,
		      unsigned int flags, struct message *why)
{
	char path[QCOW2_PATH_MAX];
	size_t len;

	*info = (struct qcow2_ctl_info){
		.head.flags = flags,
		.index = info->index,
		.layer = info->layer,
	};
	/* What else is wrong the freeze itself will say. */
	if (control_info(control, info, path) || info->state != QCOW2_STATE_LIVE)
		return 0;
	len = deleted_name(path);
	if (!len)
		return 0;
	message_set(why, DEVICE_FORMAT ": cannot be frozen: %.*s was deleted or replaced while it was in use, a thaw would not find it again: save what is on the device, then detach it",
		    info->index, (int)len, path);
	return -ESTALE;
}

/*
 * A thaw goes by the names of the files. Returns -ESTALE if one of them does
 * not stand any more for the file that the device has open.
 */
static int check_names(struct control *control, int index, struct message *why)
{
	struct qcow2_ctl_info info = { .index = index };
	int ret;

	do {
		ret = check_name(control, &info, 0, why);
		if (!ret && info.layer_incompatible & HEADER_INCOMPAT_DATA_FILE)
			ret = check_name(control, &info, QCOW2_INFO_F_DATA_PATH, why);
	} while (!ret && ++info.layer < info.nr_layers);
	return ret;
}

static int freeze_with(struct control *control, int index, const struct freeze_how *how,
		       unsigned int grace_ms, uint64_t *window, const struct mounts *mounts)
{
	struct qcow2_ctl_freeze arg = {
		.head.flags = (how->no_fs ? QCOW2_FREEZE_F_NO_FS : 0) |
			      (how->fails ? QCOW2_FREEZE_F_FAIL : 0),
		.index = index,
		.timeout_ms = how->seconds ? how->seconds * 1000 + grace_ms : 0,
		.mounts = (uintptr_t)mounts->fds,
		.nr_mounts = mounts->nr,
	};
	int ret = control_call(control, QCOW2_CTL_FREEZE, &arg.head);

	*window = arg.window;
	return ret;
}

/*
 * Opens a window, and says in @window which. If it has a time, the kernel acts
 * @grace_ms later than that. Returns 0 or -errno.
 */
int device_freeze(struct control *control, int index, const struct freeze_how *how,
		  unsigned int grace_ms, uint64_t *window, struct message *why)
{
	struct mounts mounts = { .nr = 0 };
	int ret;

	step_begin(DEVICE_FORMAT ": freezing: %srequests end, metadata is written", index,
		   how->no_fs ? "" : "file systems are frozen, ");
	ret = check_names(control, index, why);
	if (!ret && !how->no_fs)
		ret = mounts_open(&mounts, index, why);
	if (!ret) {
		ret = freeze_with(control, index, how, grace_ms, window, &mounts);
		if (ret)
			message_set(why, DEVICE_FORMAT ": cannot be frozen: %s", index,
				    control->text);
		mounts_close(&mounts);
	}
	step_end();
	if (!ret)
		explain(DEVICE_FORMAT ": frozen", index);
	return ret;
}

/* What counts in a window is what the name stands for now. */
static void undelete(char *path)
{
	size_t len = deleted_name(path);

	if (len)
		path[len] = 0;
}

/* Which file is the device's active layer, and is it frozen at all? */
static int find_image(struct control *control, int index, uint64_t window, bool *readonly,
		      char path[QCOW2_PATH_MAX], struct message *why)
{
	struct qcow2_ctl_info info = { .index = index };
	int ret;

	/* What a freeze still writes must not be read; of two thaws one is too late. */
	while (!(ret = control_info(control, &info, path)) &&
	       (info.state == QCOW2_STATE_FREEZING || info.state == QCOW2_STATE_THAWING))
		device_pause();
	if (ret) {
		message_set(why, DEVICE_FORMAT ": %s", index, control->text);
		return ret;
	}
	if (info.state == QCOW2_STATE_LIVE ||
	    (info.state == QCOW2_STATE_FAILED && !(info.dev_flags & QCOW2_DEV_F_EXPIRED))) {
		message_set(why, DEVICE_FORMAT ": is not frozen%s", index,
			    window ? " any more" : "");
		return window ? -ECANCELED : -EINVAL;
	}
	if (*path != '/') {
		message_set(why, DEVICE_FORMAT ": its image '%s' cannot be reached from here",
			    index, path);
		return -ENOENT;
	}
	undelete(path);
	*readonly = info.dev_flags & QCOW2_DEV_F_READONLY;
	return 0;
}

/* Nothing is repaired here: what went wrong in the window is for its owner. */
static int check_health(const struct chain *chain, struct message *why)
{
	enum chain_health health = chain_health(chain);

	if (health == CHAIN_CLEAN)
		return 0;
	message_set(why, "%s: %s: run '" REPAIR_COMMAND "' on it, then thaw again",
		    chain->layers[0].file.path,
		    health == CHAIN_DIRTY ? "was not closed cleanly" : "is marked corrupt");
	return -EUCLEAN;
}

static int thaw_with(struct control *control, int index, const struct thaw_how *how,
		     const struct chain *chain, struct message *why)
{
	struct qcow2_ctl_layer layers[QCOW2_MAX_LAYERS];
	struct qcow2_ctl_thaw arg = {
		.head.flags = (how->image ? QCOW2_THAW_F_IMAGE : 0) |
			      (how->force ? QCOW2_THAW_F_SHRINK : 0),
		.index = index,
		.nr_layers = chain->nr,
		.layers = (uintptr_t)layers,
		.window = how->window,
	};
	int ret;

	chain_export(chain, layers);
	ret = control_call(control, QCOW2_CTL_THAW, &arg.head);
	if (ret)
		message_set(why, "%s", control->text);
	return ret;
}

/* One try. The chain is followed anew: it may have changed in the window. */
static int try_thaw(struct control *control, int index, const struct thaw_how *how,
		    struct message *why)
{
	char path[QCOW2_PATH_MAX];
	struct message reason;
	struct chain chain;
	bool readonly;
	int ret;

	ret = find_image(control, index, how->window, &readonly, path, why);
	if (ret)
		return ret;
	ret = chain_open(&chain, how->image ? how->image : path, readonly, &reason);
	if (!ret) {
		ret = check_health(&chain, &reason);
		if (!ret)
			ret = thaw_with(control, index, how, &chain, &reason);
		chain_close(&chain);
	}
	if (ret)
		message_set(why, DEVICE_FORMAT ": stays frozen: %s", index, reason.text);
	return ret;
}

/*
 * Thaws with some patience: what was run in the window may leave children
 * that let go of the image a moment later. Returns 0 or -errno; then the
 * device is as frozen as before.
 */
int device_thaw(struct control *control, int index, const struct thaw_how *how,
		struct message *why)
{
	unsigned int tries;
	int ret;

	step_begin(DEVICE_FORMAT ": thawing: the image is read and checked again", index);
	for (tries = 0; ; tries++) {
		ret = try_thaw(control, index, how, why);
		if ((ret != -EAGAIN && ret != -EBUSY) || tries == DEVICE_RETRIES)
			break;
		if (!tries)
			step_begin("%s: trying again", why->text);
		device_pause();
	}
	step_end();
	if (!ret)
		explain(DEVICE_FORMAT ": live again", index);
	return ret;
}

/*
 * Ends a window that was opened for something that has come to @status. Returns that,
 * or EXIT_FROZEN.
 */
int end_window(struct control *control, int index, const struct thaw_how *how, int status)
{
	struct message why;
	int ret = device_thaw(control, index, how, &why);

	if (!ret)
		return status;
	/* The kernel's timer was first, or somebody else. */
	if (ret == -ECANCELED) {
		complain(DEVICE_FORMAT ": was thawed before%s", index,
			 how->timed ? ", since its time was over or by somebody else" :
				      " by somebody else");
		return status;
	}
	complain("%s; mend the image, then 'qcow2ctl thaw " DEVICE_FORMAT "' (the status was %d)",
		 why.text, index, status);
	return EXIT_FROZEN;
}

/*
 * Opens the driver and finds the device @name. Returns 0, or -1 when it has said why
 * not.
 */
int device_open(const char *name, struct control *control, int *index)
{
	struct message why;

	if (!control_open(control, &why)) {
		if (!device_index(name, index, &why))
			return 0;
		control_close(control);
	}
	complain("%s", why.text);
	return -1;
}

/* The part that freeze, thaw and resume have in common: their one device. */
static int open_device(char **args, struct control *control, int *index)
{
	if (!args[0])
		return usage_error("no device given");
	if (args[1])
		return usage_error("%s: only one device at a time", args[1]);
	return device_open(args[0], control, index) ? EXIT_FAILED : EXIT_OK;
}

static int run_freeze(const struct command *self, int argc, char **argv)
{
	struct freeze_how how = { 0 };
	struct control control;
	struct message why;
	int c, index, ret, status;
	uint64_t window;

	while ((c = getopt_long(argc, argv, FREEZE_SHORT COMMON_SHORT, freeze_options,
				NULL)) != -1) {
		status = freeze_option(&how, c);
		if (status == -2)
			status = common_option(self, c);
		if (status >= 0)
			return status;
	}
	status = freeze_check(&how);
	if (status >= 0)
		return status;
	status = open_device(argv + optind, &control, &index);
	if (status)
		return status;
	ret = device_freeze(&control, index, &how, 0, &window, &why);
	if (ret)
		complain("%s", why.text);
	control_close(&control);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int run_thaw(const struct command *self, int argc, char **argv)
{
	struct thaw_how how = { 0 };
	struct control control;
	char *full = NULL;
	struct message why;
	int c, index, ret, status;

	while ((c = getopt_long(argc, argv, "fi:" COMMON_SHORT, thaw_options, NULL)) != -1) {
		if (c == 'f')
			how.force = true;
		else if (c == 'i')
			how.image = optarg;
		status = c == 'f' || c == 'i' ? -1 : common_option(self, c);
		if (status >= 0)
			return status;
	}
	status = open_device(argv + optind, &control, &index);
	if (status)
		return status;
	/* The next thaw goes by that, too: backing files are then the same. */
	if (how.image)
		full = realpath(how.image, NULL);
	if (full)
		how.image = full;
	ret = device_thaw(&control, index, &how, &why);
	if (ret)
		complain("%s", why.text);
	free(full);
	control_close(&control);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int run_resume(const struct command *self, int argc, char **argv)
{
	struct qcow2_ctl_resume arg = { 0 };
	struct control control;
	int c, index, ret, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, resume_options, NULL)) != -1) {
		status = common_option(self, c);
		if (status >= 0)
			return status;
	}
	status = open_device(argv + optind, &control, &index);
	if (status)
		return status;
	arg.index = index;
	step_begin(DEVICE_FORMAT ": trying again what waits for space", index);
	ret = control_call(&control, QCOW2_CTL_RESUME, &arg.head);
	step_end();
	if (ret)
		complain(DEVICE_FORMAT ": cannot be resumed: %s", index, control.text);
	control_close(&control);
	return ret ? EXIT_FAILED : EXIT_OK;
}

const struct command freeze_command = {
	.name = "freeze",
	.summary = "open a maintenance window",
	.usage = freeze_usage,
	.run = run_freeze,
};

const struct command thaw_command = {
	.name = "thaw",
	.summary = "close a maintenance window",
	.usage = thaw_usage,
	.run = run_thaw,
};

const struct command resume_command = {
	.name = "resume",
	.summary = "try I/O again that waits for space",
	.usage = resume_usage,
	.run = run_resume,
};
