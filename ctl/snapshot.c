// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl snapshot: an internal snapshot, in a window of its own
 */
#include <signal.h>
#include <string.h>

#include "control.h"
#include "device.h"
#include "freeze.h"
#include "progress.h"
#include "qcow2ctl.h"
#include "run.h"

static const char snapshot_usage[] =
"Usage: qcow2ctl snapshot [OPTION...] DEV NAME\n"
"\n"
"Make the internal snapshot NAME of the device's image: freeze DEV, run\n"
"'qemu-img snapshot -c NAME', thaw DEV. A file system that is mounted from DEV is\n"
"in the snapshot as if it had been unmounted.\n"
"\n"
"Options:\n"
FREEZE_USAGE_SHORT
" -h, --help              this text\n"
" -V, --version           the version\n"
" -v, --verbose           explain on standard error what is done\n"
"\n"
"Exit status: 0 done, 1 failed (the device is live as before), 2 wrong usage, 124\n"
"the device STAYS FROZEN: see 'qcow2ctl window --help'.\n";

static const struct option snapshot_options[] = { FREEZE_LONG_SHORT, COMMON_LONG };

/* Which file it is counts in the window: another one may have ended just before. */
static int take(struct control *control, int index, char *name)
{
	struct qcow2_ctl_info info = { .index = index };
	char path[QCOW2_PATH_MAX];
	char *argv[] = { "qemu-img", "snapshot", "-q", "-c", name, path, NULL };
	struct message why;
	int ret = -1;

	step_begin(DEVICE_FORMAT ": making snapshot %s", index, name);
	if (control_info(control, &info, path))
		message_set(&why, "%s", control->text);
	else
		ret = run_qemu_img(argv, &why);
	step_end();
	if (!ret)
		return EXIT_OK;
	complain(DEVICE_FORMAT ": no snapshot: %s", index, why.text);
	return EXIT_FAILED;
}

static int snapshot(struct control *control, int index, const struct freeze_how *how,
		    char *name)
{
	struct thaw_how thaw = { .timed = how->seconds };
	struct message why;
	sigset_t all;

	/* From here on nothing may end this process that it can avoid. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	if (device_freeze(control, index, how, THAW_GRACE_MS, &thaw.window, &why)) {
		complain("%s", why.text);
		return EXIT_FAILED;
	}
	return end_window(control, index, &thaw, take(control, index, name));
}

static int run_snapshot(const struct command *self, int argc, char **argv)
{
	struct freeze_how how = { 0 };
	struct control control;
	int c, index, status;

	while ((c = getopt_long(argc, argv, FREEZE_SHORT_SHORT COMMON_SHORT, snapshot_options,
				NULL)) != -1) {
		status = freeze_option(&how, c);
		if (status == -2)
			status = common_option(self, c);
		if (status >= 0)
			return status;
	}
	if (argc - optind != 2)
		return usage_error("a device and a name are wanted");
	if (!*argv[optind + 1])
		return usage_error("a snapshot needs a name");
	if (device_open(argv[optind], &control, &index))
		return EXIT_FAILED;
	status = snapshot(&control, index, &how, argv[optind + 1]);
	control_close(&control);
	return status;
}

const struct command snapshot_command = {
	.name = "snapshot",
	.summary = "make an internal snapshot of a device's image",
	.usage = snapshot_usage,
	.run = run_snapshot,
};
