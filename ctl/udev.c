// SPDX-License-Identifier: GPL-2.0-only
/*
 * What udev names a device by.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "device.h"
#include "escape.h"
#include "qcow2ctl.h"
#include "tab.h"
#include "udev.h"

static void put_property(const char *key, const char *text)
{
	char *escaped = escape_link(text);

	if (escaped)
		printf("%s=%s\n", key, escaped);
	free(escaped);
}

/* The device's number is a name of its own: no file may have it. */
static bool is_number(const char *name)
{
	return !name[strspn(name, "0123456789")];
}

/* udev hears of a device a moment before it can be asked for. */
static int ask_new(struct control *control, struct qcow2_ctl_info *info,
		   char path[QCOW2_PATH_MAX])
{
	unsigned int tries;
	int ret;

	for (tries = 0; ; tries++) {
		ret = control_info(control, info, path);
		if (ret != -ENODEV || tries == DEVICE_RETRIES)
			return ret;
		device_pause();
	}
}

/**
 * show_udev() - print what udev names a device by, as variables of udev's
 * @control: open
 * @index: number of the device
 *
 * Return: an exit status.
 */
int show_udev(struct control *control, int index)
{
	struct qcow2_ctl_info info = { .index = index };
	char path[QCOW2_PATH_MAX], *name;
	const char *slash;

	if (ask_new(control, &info, path)) {
		complain(DEVICE_FORMAT ": %s", index, control->text);
		return EXIT_FAILED;
	}
	printf("QCOW2_INDEX=%d\n", index);
	slash = strrchr(path, '/');
	if (slash && !is_number(slash + 1))
		put_property("QCOW2_FILE_ENC", slash + 1);
	name = tab_name(path);
	if (name)
		put_property("QCOW2_NAME", name);
	free(name);
	return EXIT_OK;
}
