// SPDX-License-Identifier: GPL-2.0-only
/*
 * One file of a chain: opens it, and says what is wrong if it cannot
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

const struct role backing_role = {
	.name = "backing file",
	.correct = "correct the name with 'qemu-img rebase -u'",
};

const struct role data_role = {
	.name = "data file",
	.correct = "correct the name with 'qemu-img amend -o data_file=NAME'",
};

/*
 * Composes "PATH: what is wrong (backing file of PARENT): what to do".
 * Returns -EINVAL so that callers can return it.
 */
int subject_fail(struct message *why, const struct subject *s, const char *advice,
		 const char *fmt, ...)
{
	struct message what, of = { 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	if (s->parent)
		message_set(&of, " (%s of %s)", s->role->name, s->parent);
	message_set(why, "%s: %s%s%s%s", s->path, what.text, of.text,
		    advice ? ": " : "", advice ? advice : "");
	return -EINVAL;
}

/* Returns -ENOENT if it is a file that another one names. */
static int no_such_file(struct message *why, const struct subject *s)
{
	struct message advice;

	if (!s->parent)
		return subject_fail(why, s, "check the name", "no such file");
	message_set(&advice, "put it back, or %s", s->role->correct);
	subject_fail(why, s, advice.text, "no such file");
	return -ENOENT;
}

static int open_fail(struct message *why, const struct subject *s, bool writing)
{
	const char *mend = "make it writable, or attach it read-only (-r)";

	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return no_such_file(why, s);
	case EACCES:
		return subject_fail(why, s, geteuid() ? "run qcow2ctl as root" :
				    writing ? mend : NULL, "permission denied");
	case EROFS:
		return subject_fail(why, s, mend,
				    "cannot be opened for writing: read-only file system or device");
	case EPERM:
		if (writing)
			return subject_fail(why, s, mend,
					    "cannot be opened for writing: immutable (chattr)");
		break;
	case ETXTBSY:
		return subject_fail(why, s, "stop that first",
				    "in use as a swap file or a program");
	case EMFILE:
		return subject_fail(why, s, "raise the limit (ulimit -n)",
				    "too many open files");
	}
	return subject_fail(why, s, NULL, "cannot be opened: %m");
}

/* Only these can hold an image; opening others may hang or do harm. */
static int check_type(struct message *why, const struct subject *s, mode_t mode,
		      bool writing)
{
	const char *advice = "name a regular file or a block device";

	switch (mode & S_IFMT) {
	case S_IFREG:
		/* Root may write to it all the same, but was asked not to. */
		if (writing && !(mode & 0222))
			return subject_fail(why, s, "use -r, or permit writing with chmod",
					    "read-only file (nobody has write permission)");
		return 0;
	case S_IFBLK:
		return 0;
	case S_IFDIR:
		return subject_fail(why, s, advice, "is a directory");
	case S_IFCHR:
		return subject_fail(why, s, advice, "is a character device");
	case S_IFIFO:
		return subject_fail(why, s, advice, "is a FIFO");
	case S_IFSOCK:
		return subject_fail(why, s, advice, "is a socket");
	default:
		return subject_fail(why, s, advice, "is not a file");
	}
}

/* Opens what @fd stands for once more, whatever happened to its name. */
static int open_again(int fd, int flags)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open(name, flags | O_CLOEXEC | O_NOCTTY);
}

/*
 * Opens what O_PATH descriptor @handle stands for, so that it is the file
 * that was looked at. Not all file systems have direct I/O, and O_NOATIME is
 * for the owner.
 */
static int reopen(int handle, int flags)
{
	int fd;

	flags |= O_DIRECT | O_NOATIME;
	fd = open_again(handle, flags);
	if (fd < 0 && errno == EPERM) {
		flags &= ~O_NOATIME;
		fd = open_again(handle, flags);
	}
	if (fd < 0 && errno == EINVAL)
		fd = open_again(handle, flags & ~O_DIRECT);
	return fd;
}

static int open_handle(struct message *why, const struct subject *s, int handle,
		       bool writing, struct stat *st)
{
	int fd;

	if (fstat(handle, st))
		return subject_fail(why, s, NULL, "cannot be examined: %m");
	if (check_type(why, s, st->st_mode, writing))
		return -EINVAL;
	fd = reopen(handle, writing ? O_RDWR : O_RDONLY);
	if (fd < 0 && errno == ENOENT)
		return subject_fail(why, s, "mount /proc", "cannot be opened without /proc");
	if (fd < 0)
		return open_fail(why, s, writing);
	return fd;
}

static void take_id(struct file *file, const struct stat *st)
{
	file->id.blockdev = S_ISBLK(st->st_mode);
	file->id.dev = file->id.blockdev ? st->st_rdev : st->st_dev;
	file->id.ino = file->id.blockdev ? 0 : st->st_ino;
}

/*
 * Opens the file that @s is about; its path is then @file's. Returns 0,
 * -ENOENT if there is no such file although another one names it, or -EINVAL.
 */
int file_open(struct file *file, const struct subject *s, bool writing,
	      struct message *why)
{
	struct stat st;
	int handle, fd;

	handle = open(s->path, O_PATH | O_CLOEXEC);
	if (handle < 0)
		return open_fail(why, s, writing);
	fd = open_handle(why, s, handle, writing, &st);
	close(handle);
	if (fd < 0)
		return fd;
	file->path = s->path;
	file->fd = fd;
	take_id(file, &st);
	return 0;
}

void file_close(struct file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	*file = (struct file){ .fd = -1 };
}

/* Two that are not there are the same, too. */
bool file_same(const struct file *a, const struct file *b)
{
	return a->id.blockdev == b->id.blockdev && a->id.dev == b->id.dev &&
	       a->id.ino == b->id.ino;
}

/*
 * A descriptor that keeps the file, so that no other gets its inode number,
 * but neither opens nor locks it. Returns -1 with errno on failure.
 */
int file_pin(const struct file *file)
{
	return open_again(file->fd, O_PATH);
}

/* Is @file what descriptor @fd stands for? */
bool file_is(const struct file *file, int fd)
{
	struct file other;
	struct stat st;

	if (fstat(fd, &st))
		return false;
	take_id(&other, &st);
	return file_same(file, &other);
}
