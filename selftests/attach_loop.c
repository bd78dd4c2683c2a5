// SPDX-License-Identifier: GPL-2.0-only
/*
 * attach_loop: attach an image, do some I/O, detach it, and all that again
 * many times, by the ioctls themselves: a program for each step would take
 * most of the time.
 *
 * Not all rounds are alike: in some the device is frozen and thawed, is
 * detached while frozen, or is detached by force with I/O in flight.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/blkqcow2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK		4096
#define NR_BLOCKS	16

static int control;
static aio_context_t aio;
static char text[512];
static uint8_t *data, *back;

__attribute__((noreturn, format(printf, 2, 3)))
static void die(unsigned int round, const char *fmt, ...)
{
	va_list ap;

	printf("attach_loop: round %u: ", round);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %s\n", *text ? text : strerror(errno));
	exit(1);
}

static struct qcow2_ctl_head head(size_t size, uint32_t flags)
{
	return (struct qcow2_ctl_head){
		.size = size,
		.flags = flags,
		.err_buf = (uintptr_t)text,
		.err_len = sizeof(text),
	};
}

static int attach(unsigned int round, const char *image)
{
	struct qcow2_ctl_layer layer = {
		.fd = open(image, O_RDWR | O_DIRECT | O_CLOEXEC),
		.format = QCOW2_FORMAT_QCOW2,
		.data_fd = -1,
	};
	struct qcow2_ctl_attach arg = {
		.head = head(sizeof(arg), 0),
		.index = -1,
		.nr_layers = 1,
		.layers = (uintptr_t)&layer,
	};

	if (layer.fd < 0)
		die(round, "%s", image);
	if (ioctl(control, QCOW2_CTL_ATTACH, &arg))
		die(round, "attach");
	close(layer.fd);
	return arg.index;
}

static void detach(unsigned int round, int index, uint32_t flags)
{
	struct qcow2_ctl_detach arg = {
		.head = head(sizeof(arg), flags),
		.index = index,
	};

	if (ioctl(control, QCOW2_CTL_DETACH, &arg))
		die(round, "detach");
}

static void freeze(unsigned int round, int index)
{
	struct qcow2_ctl_freeze arg = {
		.head = head(sizeof(arg), 0),
		.index = index,
	};

	if (ioctl(control, QCOW2_CTL_FREEZE, &arg))
		die(round, "freeze");
}

static void thaw(unsigned int round, int index)
{
	struct qcow2_ctl_thaw arg = {
		.head = head(sizeof(arg), 0),
		.index = index,
	};

	if (ioctl(control, QCOW2_CTL_THAW, &arg))
		die(round, "thaw");
}

static int open_device(unsigned int round, int index)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/dev/qcow2%d", index);
	fd = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die(round, "%s", name);
	return fd;
}

/* A write to a place that is new every time, and what an earlier one left. */
static void some_io(unsigned int round, int fd)
{
	off_t off = (off_t)round * 65536 + round % 16 * BLOCK;

	memset(data, round, BLOCK);
	if (pwrite(fd, data, BLOCK, off) != BLOCK)
		die(round, "write");
	if (round % 3 == 0 && fdatasync(fd))
		die(round, "fdatasync");
	if (pread(fd, back, BLOCK, off) != BLOCK || memcmp(data, back, BLOCK))
		die(round, "read");
}

/* Ends with data, or with an error when the device is gone; but it ends. */
static void io_and_force(unsigned int round, int fd, int index)
{
	struct iocb iocbs[NR_BLOCKS], *list[NR_BLOCKS];
	struct io_event events[NR_BLOCKS];
	unsigned int i;
	long n;

	memset(iocbs, 0, sizeof(iocbs));
	for (i = 0; i < NR_BLOCKS; i++) {
		iocbs[i].aio_fildes = fd;
		iocbs[i].aio_lio_opcode = i % 2 ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
		iocbs[i].aio_buf = (uintptr_t)(i % 2 ? back : data);
		iocbs[i].aio_nbytes = BLOCK;
		iocbs[i].aio_offset = (i * 7 + round) * 65536ull;
		list[i] = &iocbs[i];
	}
	if (syscall(SYS_io_submit, aio, (long)NR_BLOCKS, list) != NR_BLOCKS)
		die(round, "io_submit");
	detach(round, index, QCOW2_DETACH_F_FORCE);
	n = syscall(SYS_io_getevents, aio, (long)NR_BLOCKS, (long)NR_BLOCKS,
		    events, NULL);
	if (n != NR_BLOCKS)
		die(round, "io_getevents");
	for (i = 0; i < NR_BLOCKS; i++)
		if (events[i].res != BLOCK && events[i].res != -EIO &&
		    events[i].res != -ENODEV && events[i].res != -ENXIO)
			die(round, "I/O ended with %lld", (long long)events[i].res);
}

static void one_round(unsigned int round, const char *image)
{
	int index = attach(round, image);
	int fd = open_device(round, index);

	some_io(round, fd);
	if (round % 5 == 4) {
		io_and_force(round, fd, index);
		close(fd);
		return;
	}
	if (round % 7 == 6) {
		freeze(round, index);
		thaw(round, index);
		some_io(round + 1, fd);
	}
	close(fd);
	if (round % 11 == 10)
		freeze(round, index);
	detach(round, index, 0);
}

int main(int argc, char **argv)
{
	unsigned int round, rounds;

	if (argc != 3) {
		fprintf(stderr, "usage: attach_loop IMAGE ROUNDS\n");
		return 2;
	}
	rounds = strtoul(argv[2], NULL, 0);
	control = open("/dev/" QCOW2_CONTROL_NAME, O_RDWR | O_CLOEXEC);
	data = aligned_alloc(BLOCK, BLOCK);
	back = aligned_alloc(BLOCK, BLOCK);
	if (control < 0 || !data || !back ||
	    syscall(SYS_io_setup, (long)NR_BLOCKS, &aio))
		die(0, "cannot begin");
	for (round = 0; round < rounds; round++)
		one_round(round, argv[1]);
	return 0;
}
