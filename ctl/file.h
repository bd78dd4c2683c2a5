/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_FILE_H
#define QCOW2CTL_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "message.h"

/*
 * struct file - one file of a chain
 * @path: the name that it was opened by, NULL if there is none
 * @fd: the open file, -1 if there is none
 * @id: device and inode, to see a file that comes twice
 */
struct file {
	char *path;
	int fd;
	struct {
		bool blockdev;
		dev_t dev;
		ino_t ino;
	} id;
};

/*
 * struct role - what one file is to another that names it
 * @name: of the role
 * @correct: what to do if the name is wrong
 */
struct role {
	const char *name;
	const char *correct;
};

extern const struct role backing_role;
extern const struct role data_role;

/*
 * struct subject - the file that a message is about
 * @path: its name
 * @role: what it is to @parent
 * @parent: the file that names it, NULL if the user does
 */
struct subject {
	char *path;
	const struct role *role;
	const char *parent;
};

__printf(4, 5) int subject_fail(struct message *why, const struct subject *s,
				const char *advice, const char *fmt, ...);

int file_open(struct file *file, const struct subject *s, bool writing,
	      struct message *why);
void file_close(struct file *file);
bool file_same(const struct file *a, const struct file *b);
int file_pin(const struct file *file);
bool file_is(const struct file *file, int fd);

#endif /* QCOW2CTL_FILE_H */
