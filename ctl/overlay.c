// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl overlay: an external snapshot
 *
 * The new image is made while the device is live, so that the window is no longer
 * than a freeze and a thaw.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "device.h"
#include "freeze.h"
#include "progress.h"
#include "qcow2ctl.h"
#include "run.h"

static const char overlay_usage[] =
"Usage: qcow2ctl overlay [OPTION...] DEV NEWFILE\n"
"\n"
"Make NEWFILE, an empty image on top of the one that DEV has, and let DEV go on\n"
"with it. The old image is its backing file from then on and is not written any\n"
"more: it holds what DEV held in that moment. A file system that is mounted from\n"
"DEV is in there as if it had been unmounted.\n"
"\n"
"Options:\n"
" -o, --options OPTIONS   of the new image, as for 'qemu-img create -o'\n"
FREEZE_USAGE_SHORT
" -h, --help              this text\n"
" -V, --version           the version\n"
" -v, --verbose           explain on standard error what is done\n"
"\n"
"Exit status: 0 done, 1 failed (the device goes on with its old image, there is\n"
"no NEWFILE), 2 wrong usage, 124 the device STAYS FROZEN: see 'qcow2ctl window\n"
"--help'.\n";

static const struct option overlay_options[] = {
	{ "options", required_argument, NULL, 'o' },
	FREEZE_LONG_SHORT, COMMON_LONG
};

/*
 * struct overlay - what is to be done
 * @index: of the device
 * @how: the window
 * @options: of qemu-img create, or NULL
 * @path: the new file, absolute
 * @backing: the image that the device has, absolute
 * @size: of the image in bytes
 * @disk: of the disk in bytes
 */
struct overlay {
	int index;
	struct freeze_how how;
	char *options;
	char path[QCOW2_PATH_MAX];
	char backing[QCOW2_PATH_MAX];
	uint64_t size;
	uint64_t disk;
};

/* QEMU takes a name with a colon for a protocol, unless there is a slash before. */
static int absolute_path(const char *name, char path[QCOW2_PATH_MAX], struct message *why)
{
	const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
	char *dir = slash == name ? strdup("/") :
		    slash ? strndup(name, slash - name) : strdup(".");
	char *real = dir ? realpath(dir, NULL) : NULL;
	int len = -1;

	if (!real)
		message_set(why, "%s: %m", name);
	else if (!*last || !strcmp(last, ".") || !strcmp(last, ".."))
		message_set(why, "%s: is no name of a file", name);
	else
		len = snprintf(path, QCOW2_PATH_MAX, "%s/%s", strcmp(real, "/") ? real : "",
			       last);
	if (len >= QCOW2_PATH_MAX)
		message_set(why, "%s: the name is too long", name);
	free(real);
	free(dir);
	return len >= 0 && len < QCOW2_PATH_MAX ? 0 : -1;
}

/* Beside the image its name without directories is better: both may be moved. */
static const char *backing_name(const struct overlay *o)
{
	const char *slash = strrchr(o->backing, '/');
	size_t dir = slash - o->backing + 1;

	return strncmp(o->path, o->backing, dir) || strchr(o->path + dir, '/') ||
	       strchr(slash, ':') ? o->backing : slash + 1;
}

static int look_at_device(struct control *control, struct overlay *o, struct message *why)
{
	struct qcow2_ctl_info info = { .index = o->index };

	if (control_info(control, &info, o->backing)) {
		message_set(why, DEVICE_FORMAT ": %s", o->index, control->text);
		return -1;
	}
	if (info.dev_flags & QCOW2_DEV_F_READONLY) {
		message_set(why, DEVICE_FORMAT ": is read-only, an overlay would never be written",
			    o->index);
		return -1;
	}
	if (info.state != QCOW2_STATE_LIVE) {
		message_set(why, DEVICE_FORMAT ": is %s", o->index, state_name(info.state));
		return -1;
	}
	o->size = info.layer_virtual_size;
	o->disk = info.size_bytes;
	return 0;
}

/* Another window may have ended since, with another image or size. */
static int look_again(struct control *control, const struct overlay *o, struct message *why)
{
	struct qcow2_ctl_info info = { .index = o->index };
	char path[QCOW2_PATH_MAX];

	if (control_info(control, &info, path)) {
		message_set(why, DEVICE_FORMAT ": %s", o->index, control->text);
		return -1;
	}
	if (!strcmp(path, o->backing) && info.size_bytes == o->disk)
		return 0;
	message_set(why, DEVICE_FORMAT ": has got another image or size meanwhile: try again",
		    o->index);
	return -1;
}

/* qemu-img would overwrite a file that exists. */
static int reserve(const struct overlay *o, struct message *why)
{
	int fd = open(o->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) {
		message_set(why, "%s: %m", o->path);
		return -1;
	}
	close(fd);
	return 0;
}

static int create(struct overlay *o, struct message *why)
{
	char size[24];
	/* -u: the backing file is in use, and all that matters of it is known. */
	char *argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "qcow2", "-b",
			 (char *)backing_name(o), o->path, size,
			 o->options ? "-o" : NULL, o->options, NULL };
	int ret;

	snprintf(size, sizeof(size), "%" PRIu64, o->size);
	if (reserve(o, why))
		return -1;
	step_begin("%s: making the new image", o->path);
	ret = run_qemu_img(argv, why);
	step_end();
	if (ret)
		unlink(o->path);
	return ret;
}

static int change_image(struct control *control, const struct overlay *o)
{
	struct thaw_how forth = { .image = o->path }, back = { .timed = o->how.seconds };
	struct message why;
	int ret;

	ret = device_freeze(control, o->index, &o->how, THAW_GRACE_MS, &forth.window, &why);
	if (ret) {
		complain("%s", why.text);
		return EXIT_FAILED;
	}
	ret = look_again(control, o, &why);
	if (!ret)
		ret = device_thaw(control, o->index, &forth, &why);
	if (!ret)
		return EXIT_OK;
	complain("%s: going back to its old image", why.text);
	back.window = forth.window;
	return end_window(control, o->index, &back, EXIT_FAILED);
}

static int overlay(struct control *control, struct overlay *o)
{
	struct message why;
	sigset_t all;
	int status;

	/* From here on nothing may end this process that it can avoid. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	if (look_at_device(control, o, &why) || create(o, &why)) {
		complain("%s", why.text);
		return EXIT_FAILED;
	}
	status = change_image(control, o);
	if (status != EXIT_OK)
		unlink(o->path);
	return status;
}

static int run_overlay(const struct command *self, int argc, char **argv)
{
	struct overlay o = { 0 };
	struct control control;
	struct message why;
	int c, status;

	while ((c = getopt_long(argc, argv, "o:" FREEZE_SHORT_SHORT COMMON_SHORT, overlay_options,
				NULL)) != -1) {
		status = freeze_option(&o.how, c);
		if (c == 'o')
			o.options = optarg;
		else if (status == -2)
			status = common_option(self, c);
		if (status >= 0)
			return status;
	}
	if (argc - optind != 2)
		return usage_error("a device and the name of a new file are wanted");
	if (device_open(argv[optind], &control, &o.index))
		return EXIT_FAILED;
	status = EXIT_FAILED;
	if (absolute_path(argv[optind + 1], o.path, &why))
		complain("%s", why.text);
	else
		status = overlay(&control, &o);
	control_close(&control);
	return status;
}

const struct command overlay_command = {
	.name = "overlay",
	.summary = "go on with a new image on top: an external snapshot",
	.usage = overlay_usage,
	.run = run_overlay,
};
