// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices by name, and who uses them
 */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "escape.h"

#define NODE_WAIT_MS	5000

/* Parses a number from the start of @s; returns what follows it, or NULL. */
static const char *parse_number(const char *s, int *number)
{
	char *end;
	long n;

	if (!isdigit((unsigned char)*s))
		return NULL;
	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || n > INT_MAX)
		return NULL;
	*number = n;
	return end;
}

/* The kernel's name of a disk or of one of its partitions: qcow2N, qcow2NpM. */
static bool parse_disk(const char *name, int *index, int *partition)
{
	*partition = 0;
	if (strncmp(name, "qcow2", 5))
		return false;
	name = parse_number(name + 5, index);
	if (name && *name == 'p')
		name = parse_number(name + 1, partition);
	return name && !*name;
}

static const char *skip_dev(const char *path)
{
	return strncmp(path, "/dev/", 5) ? path : path + 5;
}

/* The kernel's name for a block device number. */
static bool disk_name(unsigned int major, unsigned int minor, char name[NAME_MAX + 1])
{
	char link[64], target[PATH_MAX];
	const char *slash;
	ssize_t len;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major, minor);
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = 0;
	slash = strrchr(target, '/');
	return snprintf(name, NAME_MAX + 1, "%s", slash ? slash + 1 : target) <= NAME_MAX;
}

static int not_ours(const char *path, struct message *why)
{
	message_set(why, "%s is not a qcow2 device: see 'qcow2ctl list'", path);
	return -1;
}

/* The name of a node that is not called as the kernel calls it. */
static int resolve_node(const char *path, char name[NAME_MAX + 1], struct message *why)
{
	struct stat st;

	if (stat(path, &st)) {
		message_set(why, "%s: %s: see 'qcow2ctl list'",
			    path, errno == ENOENT ? "no such device" : strerror(errno));
		return -1;
	}
	if (S_ISBLK(st.st_mode) &&
	    disk_name(major(st.st_rdev), minor(st.st_rdev), name))
		return 0;
	return not_ours(path, why);
}

/* Finds N of what the user calls a device. */
int device_index(const char *arg, int *index, struct message *why)
{
	const char *end = parse_number(arg, index);
	char name[NAME_MAX + 1];
	int partition;

	if (end && !*end)
		return 0;
	if (!parse_disk(skip_dev(arg), index, &partition)) {
		if (resolve_node(arg, name, why))
			return -1;
		if (!parse_disk(name, index, &partition))
			return not_ours(arg, why);
	}
	if (partition) {
		message_set(why, "%s is a partition: name the whole device, " DEVICE_FORMAT,
			    arg, *index);
		return -1;
	}
	return 0;
}

static void pause_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

/* Between two tries of what failed because of others. */
void device_pause(void)
{
	pause_ms(DEVICE_PAUSE_MS);
}

/* Is the node there, and that of this disk rather than a left-over? */
static bool node_ready(int index)
{
	char path[32], want[NAME_MAX + 1], name[NAME_MAX + 1];
	struct stat st;

	snprintf(path, sizeof(path), DEVICE_FORMAT, index);
	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	snprintf(want, sizeof(want), "qcow2%d", index);
	return disk_name(major(st.st_rdev), minor(st.st_rdev), name) &&
	       !strcmp(name, want);
}

/* Waits until the node exists; devtmpfs or udev makes it. */
int device_wait(int index)
{
	unsigned int waited;

	for (waited = 0; !node_ready(index); waited += 10) {
		if (waited >= NODE_WAIT_MS)
			return -ETIMEDOUT;
		pause_ms(10);
	}
	return 0;
}

static bool is_disk(const char *name, int index)
{
	int other, partition;

	return parse_disk(name, &other, &partition) && other == index;
}

/*
 * Is this line of mountinfo about the disk or a partition of it? btrfs has
 * numbers of its own there, but names its device.
 */
static bool mount_matches(const char *line, int index)
{
	char name[NAME_MAX + 1], source[64];
	unsigned int major, minor;
	const char *rest;

	if (sscanf(line, "%*d %*d %u:%u", &major, &minor) == 2 &&
	    disk_name(major, minor, name) && is_disk(name, index))
		return true;
	rest = strstr(line, " - ");
	return rest && sscanf(rest, " - %*s %63s", source) == 1 &&
	       is_disk(skip_dev(source), index);
}

/* Says in @user where the device is mounted, if it is. */
bool find_mount(FILE *mountinfo, int index, struct message *user)
{
	char *line = NULL, *target = NULL;
	bool found = false;
	size_t size = 0;

	while (!found && getline(&line, &size, mountinfo) > 0) {
		if (!mount_matches(line, index) ||
		    sscanf(line, "%*d %*d %*s %*s %ms", &target) != 1)
			continue;
		unescape_octal(target);
		message_set(user, "mounted on %s", target);
		free(target);
		found = true;
	}
	free(line);
	return found;
}

static bool find_swap(int index, struct message *user)
{
	FILE *f = fopen("/proc/swaps", "re");
	char name[64], line[PATH_MAX];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%63s", name) == 1 && is_disk(skip_dev(name), index);
	if (found)
		message_set(user, "used as swap space");
	fclose(f);
	return found;
}

/* Block devices made of this one or its partitions: LVM, dm-crypt, md. */
static bool find_holder(int index, struct message *user)
{
	char pattern[96];
	glob_t found;
	bool any;

	snprintf(pattern, sizeof(pattern), "/sys/block/qcow2%d/{,qcow2%dp*/}holders/*",
		 index, index);
	any = !glob(pattern, GLOB_BRACE, NULL, &found) && found.gl_pathc;
	if (any)
		message_set(user, "used by /dev/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return any;
}

/* Says in @user what keeps the device open, if that is to be seen. */
bool device_user(int index, struct message *user)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool mounted = f && find_mount(f, index, user);

	if (f)
		fclose(f);
	return mounted || find_swap(index, user) || find_holder(index, user);
}
