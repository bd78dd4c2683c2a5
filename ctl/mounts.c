// SPDX-License-Identifier: GPL-2.0-only
/*
 * btrfs file systems on a device
 *
 * Older kernels do not freeze them with their block devices, since one may have
 * many of those. They are handed to the driver, so that it thaws them again whatever
 * becomes of qcow2ctl.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/btrfs.h>
#include <mntent.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mounts.h"

#define UUID_TEXT	37

/* Of the file system that @fd is on. */
static bool read_uuid(int fd, char text[UUID_TEXT])
{
	struct btrfs_ioctl_fs_info_args info = { 0 };
	unsigned int i, at = 0;

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info))
		return false;
	for (i = 0; i < sizeof(info.fsid); i++) {
		bool dash = i == 4 || i == 6 || i == 8 || i == 10;

		at += snprintf(text + at, UUID_TEXT - at, "%s%02x", dash ? "-" : "",
			       info.fsid[i]);
	}
	return true;
}

/* Is the device, or a partition of it, among those of the file system? */
static bool uses_device(const char *uuid, int index)
{
	char pattern[160];
	glob_t found;
	bool any;

	snprintf(pattern, sizeof(pattern), "/sys/fs/btrfs/%s/devices/{qcow2%d,qcow2%dp*}",
		 uuid, index, index);
	any = !glob(pattern, GLOB_BRACE, NULL, &found) && found.gl_pathc;
	globfree(&found);
	return any;
}

/* Subvolumes are mounts of one file system: once is enough. */
static bool is_known(const struct mounts *mounts, const char *uuid)
{
	char other[UUID_TEXT];
	unsigned int i;

	for (i = 0; i < mounts->nr; i++)
		if (read_uuid(mounts->fds[i], other) && !strcmp(uuid, other))
			return true;
	return false;
}

static int add_mount(struct mounts *mounts, const char *dir, int index, struct message *why)
{
	int fd = open(dir, O_RDONLY | O_CLOEXEC);
	char uuid[UUID_TEXT];

	/* Hidden under another mount, or gone: not what is looked for, most likely. */
	if (fd < 0)
		return 0;
	if (!read_uuid(fd, uuid) || !uses_device(uuid, index) || is_known(mounts, uuid)) {
		close(fd);
		return 0;
	}
	if (mounts->nr == QCOW2_MAX_MOUNTS) {
		close(fd);
		message_set(why, "more than %d file systems on one device", QCOW2_MAX_MOUNTS);
		return -E2BIG;
	}
	explain("%s: btrfs, to be frozen", dir);
	mounts->fds[mounts->nr++] = fd;
	return 0;
}

/* Finds them. Returns 0 or -errno; then nothing is open. */
int mounts_open(struct mounts *mounts, int index, struct message *why)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	const struct mntent *m;
	int ret = 0;

	mounts->nr = 0;
	if (!f) {
		message_set(why, "/proc/self/mounts: %m");
		return -errno;
	}
	while (!ret && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, "btrfs"))
			ret = add_mount(mounts, m->mnt_dir, index, why);
	endmntent(f);
	if (ret)
		mounts_close(mounts);
	return ret;
}

void mounts_close(struct mounts *mounts)
{
	while (mounts->nr)
		close(mounts->fds[--mounts->nr]);
}
