// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl detach: remove devices
 */
#include <errno.h>

#include "control.h"
#include "device.h"
#include "progress.h"
#include "qcow2ctl.h"

static const char detach_usage[] =
"Usage: qcow2ctl detach [-d | -f] DEV...\n"
"       qcow2ctl detach [-d | -f] -a\n"
"\n"
"Write back and remove devices. One that is in use is refused, unless told\n"
"otherwise.\n"
"\n"
"Options:\n"
" -a, --all        all devices that there are\n"
" -d, --deferred   if it is in use, detach when it no longer is\n"
" -f, --force      detach at once; I/O of those who use it fails\n"
" -h, --help       this text\n"
" -V, --version    the version\n"
" -v, --verbose    explain on standard error what is done\n"
"\n"
"Exit status: 0 done, 1 failed for at least one device, 2 wrong usage.\n";

static const struct option detach_options[] = {
	{ "all", no_argument, NULL, 'a' },
	{ "deferred", no_argument, NULL, 'd' },
	{ "force", no_argument, NULL, 'f' },
	COMMON_LONG
};

static bool is_frozen(struct control *control, int index)
{
	struct qcow2_ctl_info info = { .index = index };
	char path[QCOW2_PATH_MAX];

	return !control_info(control, &info, path) && info.state == QCOW2_STATE_FROZEN;
}

static void complain_busy(int index, const struct message *user)
{
	complain(DEVICE_FORMAT ": in use%s%s: unmount or close it, or use --deferred or --force",
		 index, user ? ", " : "", user ? user->text : "");
}

/* It is in use: is there somebody to be named? Then says so. */
static bool has_user(struct control *control, int index)
{
	struct message user;

	/* To unmount it would wait for the end of the window. */
	if (is_frozen(control, index))
		complain(DEVICE_FORMAT ": in use and frozen: thaw it first, or use --force",
			 index);
	else if (device_user(index, &user))
		complain_busy(index, &user);
	else
		return false;
	return true;
}

/*
 * Right after attach, mkfs or umount udev may look at the device: what has
 * no visible user gets a moment. Returns 0, or -1 when it has said why not.
 */
static int detach_patiently(struct control *control, int index, unsigned int flags)
{
	unsigned int tries;
	int ret;

	for (tries = 0; ; tries++) {
		ret = control_detach(control, index, flags);
		if (!ret)
			return 0;
		if (ret != -EBUSY || flags) {
			complain(DEVICE_FORMAT ": %s", index, control->text);
			return -1;
		}
		if (has_user(control, index))
			return -1;
		if (tries == DEVICE_RETRIES) {
			complain_busy(index, NULL);
			return -1;
		}
		if (!tries)
			step_begin(DEVICE_FORMAT ": in use, waiting until it is not", index);
		device_pause();
	}
}

static int detach(struct control *control, int index, unsigned int flags)
{
	int ret;

	step_begin(DEVICE_FORMAT ": detaching, all that is cached is written back", index);
	ret = detach_patiently(control, index, flags);
	step_end();
	if (!ret)
		explain(flags & QCOW2_DETACH_F_DEFERRED ?
			DEVICE_FORMAT ": detached, or will be when nobody uses it" :
			DEVICE_FORMAT ": detached", index);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int detach_all(struct control *control, unsigned int flags)
{
	struct qcow2_ctl_info info = { .index = -1 };
	char path[QCOW2_PATH_MAX];
	int ret, status = EXIT_OK;

	while ((ret = control_next(control, &info, path)) > 0)
		if (detach(control, info.index, flags))
			status = EXIT_FAILED;
	if (ret < 0) {
		complain("%s", control->text);
		status = EXIT_FAILED;
	}
	return status;
}

static int detach_named(struct control *control, char **names, unsigned int flags)
{
	int index, status = EXIT_OK;
	struct message why;

	for (; *names; names++) {
		if (device_index(*names, &index, &why)) {
			complain("%s", why.text);
			status = EXIT_FAILED;
		} else if (detach(control, index, flags)) {
			status = EXIT_FAILED;
		}
	}
	return status;
}

static int run_detach(const struct command *self, int argc, char **argv)
{
	struct control control;
	unsigned int flags = 0;
	struct message why;
	bool all = false;
	int c, status;

	while ((c = getopt_long(argc, argv, "adf" COMMON_SHORT, detach_options, NULL)) != -1) {
		switch (c) {
		case 'a':
			all = true;
			break;
		case 'd':
			flags |= QCOW2_DETACH_F_DEFERRED;
			break;
		case 'f':
			flags |= QCOW2_DETACH_F_FORCE;
			break;
		default:
			status = common_option(self, c);
			if (status >= 0)
				return status;
		}
	}
	if (flags == (QCOW2_DETACH_F_DEFERRED | QCOW2_DETACH_F_FORCE))
		return usage_error("--deferred and --force exclude each other");
	if (all && optind < argc)
		return usage_error("--all and %s exclude each other", argv[optind]);
	if (!all && optind == argc)
		return usage_error("no device given");
	if (control_open(&control, &why)) {
		complain("%s", why.text);
		return EXIT_FAILED;
	}
	status = all ? detach_all(&control, flags) :
		       detach_named(&control, argv + optind, flags);
	control_close(&control);
	return status;
}

const struct command detach_command = {
	.name = "detach",
	.summary = "remove devices",
	.usage = detach_usage,
	.run = run_detach,
};
