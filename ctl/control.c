// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls to the driver, and its reasons when they fail
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "control.h"

#define CONTROL_PATH	"/dev/" QCOW2_CONTROL_NAME

int control_open(struct control *control, struct message *why)
{
	control->fd = open(CONTROL_PATH, O_RDWR | O_CLOEXEC);
	if (control->fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		message_set(why, CONTROL_PATH ": the driver is not loaded: run 'modprobe blkqcow2'");
		break;
	case EACCES:
	case EPERM:
		message_set(why, CONTROL_PATH ": permission denied: run qcow2ctl as root");
		break;
	default:
		message_set(why, CONTROL_PATH ": cannot be opened: %m");
	}
	return -1;
}

void control_close(struct control *control)
{
	close(control->fd);
}

/* For when the driver gave no reason: the call did not get that far. */
static const char *errno_reason(int error)
{
	switch (error) {
	case EPERM:
		return "permission denied: run qcow2ctl as root, not in a user namespace";
	case ENODEV:
		return "no such device: see 'qcow2ctl list'";
	case ENOTTY:
	case E2BIG:
		return "the driver does not know this request: use qcow2ctl of the same version";
	default:
		return strerror(error);
	}
}

/*
 * Issues one request. @head is the start of the request's struct, zeroed
 * but for flags. Returns 0, or -errno with the reason in @control->text.
 */
int control_call(struct control *control, unsigned long request,
		 struct qcow2_ctl_head *head)
{
	int ret;

	head->size = _IOC_SIZE(request);
	head->err_buf = (uintptr_t)control->text;
	head->err_len = sizeof(control->text);
	control->text[0] = 0;
	if (!ioctl(control->fd, request, head))
		return 0;
	ret = -errno;
	control->text[sizeof(control->text) - 1] = 0;
	if (!control->text[0])
		snprintf(control->text, sizeof(control->text), "%s", errno_reason(-ret));
	return ret;
}

/* @info says which device, layer and flags. */
int control_info(struct control *control, struct qcow2_ctl_info *info,
		 char path[QCOW2_PATH_MAX])
{
	int ret;

	path[0] = 0;
	info->path = (uintptr_t)path;
	info->path_len = QCOW2_PATH_MAX;
	ret = control_call(control, QCOW2_CTL_INFO, &info->head);
	path[QCOW2_PATH_MAX - 1] = 0;
	return ret;
}

/*
 * Steps to the next device; @info of the one before, or zeroed with index
 * -1 to start. Returns 1, or 0 when there are no more, or -errno.
 */
int control_next(struct control *control, struct qcow2_ctl_info *info,
		 char path[QCOW2_PATH_MAX])
{
	int after = info->index;
	int ret;

	if (after == INT_MAX)
		return 0;
	memset(info, 0, sizeof(*info));
	info->head.flags = QCOW2_INFO_F_NEXT;
	info->index = after + 1;
	ret = control_info(control, info, path);
	if (ret == -ENODEV)
		return 0;
	if (ret)
		return ret;
	/* Never go round in circles. */
	return info->index > after;
}

int control_detach(struct control *control, int index, unsigned int flags)
{
	struct qcow2_ctl_detach arg = { .head.flags = flags, .index = index };

	return control_call(control, QCOW2_CTL_DETACH, &arg.head);
}

const char *state_name(unsigned int state)
{
	switch (state) {
	case QCOW2_STATE_LIVE:
		return "live";
	case QCOW2_STATE_FREEZING:
		return "freezing";
	case QCOW2_STATE_FROZEN:
		return "frozen";
	case QCOW2_STATE_THAWING:
		return "thawing";
	case QCOW2_STATE_FAILED:
		return "failed";
	case QCOW2_STATE_DETACHING:
		return "detaching";
	default:
		return "unknown";
	}
}
