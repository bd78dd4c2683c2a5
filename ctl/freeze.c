// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl freeze, thaw and resume: what stops I/O, and lets it go on
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"
#include "control.h"
#include "device.h"
#include "freeze.h"
#include "qcow2ctl.h"
#include "repair.h"

static const char freeze_usage[] =
"Usage: qcow2ctl freeze [--no-fs-freeze] DEV\n"
"\n"
"Open a maintenance window: bring the image on disk into a complete and clean\n"
"state and let go of it, so that qemu-img may change it. I/O to the device\n"
"waits until 'qcow2ctl thaw DEV'.\n"
"\n"
"Options:\n"
"     --no-fs-freeze   do not freeze the file systems on the device\n"
" -h, --help           this text\n"
" -V, --version        the version\n"
" -v, --verbose        explain on standard error what is done\n"
"\n"
"Exit status: 0 frozen, 1 failed (the device is live as before), 2 wrong usage.\n";

static const char thaw_usage[] =
"Usage: qcow2ctl thaw DEV\n"
"\n"
"Close a maintenance window: read the image, its backing and data files again,\n"
"as they are named now, and let the I/O go on that waits.\n"
"\n"
"Options:\n"
" -h, --help      this text\n"
" -V, --version   the version\n"
" -v, --verbose   explain on standard error what is done\n"
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

static const struct option freeze_options[] = {
	{ "no-fs-freeze", no_argument, NULL, 'F' },
	COMMON_LONG
};

static const struct option thaw_options[] = { COMMON_LONG };

static const struct option resume_options[] = { COMMON_LONG };

/* Returns 0 or -errno. */
int device_freeze(struct control *control, int index, unsigned int flags,
		  struct message *why)
{
	struct qcow2_ctl_freeze arg = { .head.flags = flags, .index = index };
	int ret;

	explain(DEVICE_FORMAT ": freezing", index);
	ret = control_call(control, QCOW2_CTL_FREEZE, &arg.head);
	if (ret)
		message_set(why, DEVICE_FORMAT ": cannot be frozen: %s", index, control->text);
	else
		explain(DEVICE_FORMAT ": frozen", index);
	return ret;
}

/*
 * The kernel names a file that was replaced ("mv new old") "old (deleted)".
 * What counts is what the name stands for now.
 */
static void undelete(char *path)
{
	static const char suffix[] = " (deleted)";
	size_t len = strlen(path);

	if (len < sizeof(suffix) || strcmp(path + len - (sizeof(suffix) - 1), suffix))
		return;
	if (access(path, F_OK))
		path[len - (sizeof(suffix) - 1)] = 0;
}

/* Which file is the device's active layer, and is it frozen at all? */
static int find_image(struct control *control, int index, bool *readonly,
		      char path[QCOW2_PATH_MAX], struct message *why)
{
	struct qcow2_ctl_info info = { .index = index };
	int ret;

	ret = control_info(control, &info, path);
	if (ret) {
		message_set(why, DEVICE_FORMAT ": %s", index, control->text);
		return ret;
	}
	if (info.state == QCOW2_STATE_LIVE || info.state == QCOW2_STATE_FAILED) {
		message_set(why, DEVICE_FORMAT ": is not frozen", index);
		return -EINVAL;
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

static int thaw_with(struct control *control, int index, const struct chain *chain,
		     struct message *why)
{
	struct qcow2_ctl_layer layers[QCOW2_MAX_LAYERS];
	struct qcow2_ctl_thaw arg = {
		.index = index,
		.nr_layers = chain->nr,
		.layers = (uintptr_t)layers,
	};
	int ret;

	chain_export(chain, layers);
	ret = control_call(control, QCOW2_CTL_THAW, &arg.head);
	if (ret)
		message_set(why, "%s", control->text);
	return ret;
}

/* One try. The chain is followed anew: it may have changed in the window. */
static int try_thaw(struct control *control, int index, struct message *why)
{
	char path[QCOW2_PATH_MAX];
	struct message reason;
	struct chain chain;
	bool readonly;
	int ret;

	ret = find_image(control, index, &readonly, path, why);
	if (ret)
		return ret;
	ret = chain_open(&chain, path, readonly, &reason);
	if (!ret) {
		ret = check_health(&chain, &reason);
		if (!ret)
			ret = thaw_with(control, index, &chain, &reason);
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
int device_thaw(struct control *control, int index, struct message *why)
{
	unsigned int tries;
	int ret;

	explain(DEVICE_FORMAT ": thawing", index);
	for (tries = 0; ; tries++) {
		ret = try_thaw(control, index, why);
		if ((ret != -EAGAIN && ret != -EBUSY) || tries == DEVICE_RETRIES)
			break;
		explain("%s: trying again", why->text);
		device_pause();
	}
	if (!ret)
		explain(DEVICE_FORMAT ": live again", index);
	return ret;
}

/* The part that freeze and thaw have in common: their one device. */
static int open_device(char **args, struct control *control, int *index)
{
	struct message why;

	if (!args[0])
		return usage_error("no device given");
	if (args[1])
		return usage_error("%s: only one device at a time", args[1]);
	if (!control_open(control, &why)) {
		if (!device_index(args[0], index, &why))
			return EXIT_OK;
		control_close(control);
	}
	complain("%s", why.text);
	return EXIT_FAILED;
}

static int run_freeze(const struct command *self, int argc, char **argv)
{
	struct control control;
	unsigned int flags = 0;
	struct message why;
	int c, index, ret, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, freeze_options, NULL)) != -1) {
		if (c == 'F') {
			flags |= QCOW2_FREEZE_F_NO_FS;
			continue;
		}
		status = common_option(self, c);
		if (status >= 0)
			return status;
	}
	status = open_device(argv + optind, &control, &index);
	if (status)
		return status;
	ret = device_freeze(&control, index, flags, &why);
	if (ret)
		complain("%s", why.text);
	control_close(&control);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int run_thaw(const struct command *self, int argc, char **argv)
{
	struct control control;
	struct message why;
	int c, index, ret, status;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, thaw_options, NULL)) != -1) {
		status = common_option(self, c);
		if (status >= 0)
			return status;
	}
	status = open_device(argv + optind, &control, &index);
	if (status)
		return status;
	ret = device_thaw(&control, index, &why);
	if (ret)
		complain("%s", why.text);
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
	ret = control_call(&control, QCOW2_CTL_RESUME, &arg.head);
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
