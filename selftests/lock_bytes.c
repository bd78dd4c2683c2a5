// SPDX-License-Identifier: GPL-2.0-only
/*
 * lock_bytes: take single bytes of QEMU's image locks on a file, as another
 * program would, and see which of them others hold.
 *
 * It reads commands, a line each, and answers each with a line:
 *
 *	hold BYTE	take it, instead of what was held before
 *	drop		hold nothing
 *	others		those that somebody else holds
 *	freeze INDEX	the ioctl alone, without the patience of qcow2ctl
 *	thaw INDEX	the same
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/blkqcow2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* QEMU's: "I do this", and "I do not share this", four bytes each. */
static const unsigned int bases[] = { 100, 200 };

#define NR_PERMS	4

static int control;
static char text[512];

__attribute__((noreturn))
static void die(const char *what)
{
	printf("lock_bytes: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int lock_byte(int fd, int command, struct flock *fl, int type, off_t start,
		     off_t len)
{
	*fl = (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = start,
		.l_len = len,
	};
	return fcntl(fd, command, fl);
}

static void drop(int fd)
{
	struct flock fl;

	if (lock_byte(fd, F_OFD_SETLK, &fl, F_UNLCK, 0, 0))
		die("drop");
}

static void hold(int fd, off_t byte)
{
	struct flock fl;

	drop(fd);
	if (lock_byte(fd, F_OFD_SETLK, &fl, F_RDLCK, byte, 1))
		die("hold");
	printf("held\n");
}

static void others(int fd)
{
	struct flock fl;
	unsigned int i;

	for (i = 0; i < 2 * NR_PERMS; i++) {
		off_t byte = bases[i / NR_PERMS] + i % NR_PERMS;

		if (lock_byte(fd, F_OFD_GETLK, &fl, F_WRLCK, byte, 1))
			die("others");
		if (fl.l_type != F_UNLCK)
			printf("%u ", (unsigned int)byte);
	}
	printf("\n");
}

static struct qcow2_ctl_head head(size_t size)
{
	return (struct qcow2_ctl_head){
		.size = size,
		.err_buf = (uintptr_t)text,
		.err_len = sizeof(text),
	};
}

static void answer(int ret)
{
	printf("%s\n", !ret ? "done" : *text ? text : strerror(errno));
}

static void device_freeze(int index)
{
	struct qcow2_ctl_freeze arg = { .head = head(sizeof(arg)), .index = index };

	answer(ioctl(control, QCOW2_CTL_FREEZE, &arg));
}

static void device_thaw(int index)
{
	struct qcow2_ctl_thaw arg = { .head = head(sizeof(arg)), .index = index };

	answer(ioctl(control, QCOW2_CTL_THAW, &arg));
}

static void run(int fd, const char *command, int number)
{
	if (!strcmp(command, "hold")) {
		hold(fd, number);
	} else if (!strcmp(command, "drop")) {
		drop(fd);
		printf("dropped\n");
	} else if (!strcmp(command, "others")) {
		others(fd);
	} else if (!strcmp(command, "freeze")) {
		device_freeze(number);
	} else if (!strcmp(command, "thaw")) {
		device_thaw(number);
	} else {
		errno = EINVAL;
		die(command);
	}
}

int main(int argc, char **argv)
{
	char line[64], command[16];
	int fd, number;

	if (argc != 2) {
		fprintf(stderr, "usage: lock_bytes FILE\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	control = open("/dev/" QCOW2_CONTROL_NAME, O_RDWR | O_CLOEXEC);
	if (fd < 0 || control < 0)
		die(argv[1]);
	while (fgets(line, sizeof(line), stdin)) {
		number = -1;
		if (sscanf(line, "%15s %d", command, &number) >= 1)
			run(fd, command, number);
	}
	return 0;
}
