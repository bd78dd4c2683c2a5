// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's image locks, as far as reading a header needs them
 *
 * Between our look at a header and the driver's, nobody must give the image
 * another backing file: the driver sees descriptors, not names. So the file
 * is locked as a reader would before its header is read. The driver takes
 * all of QEMU's locks for itself on the same open file, to which ours belong
 * too: they do not conflict, and go away with its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lock.h"

/* QEMU's bytes: "I write", and "I do not share writing". */
#define BYTE_WRITE		101
#define BYTE_UNSHARED_WRITE	201

/*
 * Returns 0, or -EAGAIN if somebody writes to the image. A file system
 * without locks is for the driver to judge.
 */
int lock_against_writers(int fd)
{
	struct flock fl = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = BYTE_UNSHARED_WRITE,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_SETLK, &fl))
		return errno == EAGAIN || errno == EACCES ? -EAGAIN : 0;
	fl.l_type = F_WRLCK;
	fl.l_start = BYTE_WRITE;
	if (fcntl(fd, F_OFD_GETLK, &fl) || fl.l_type == F_UNLCK)
		return 0;
	return -EAGAIN;
}
