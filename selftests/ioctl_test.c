// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioctl_test: what a program may get wrong about the ioctls, one by one. The
 * right errno must come back, with words for it where there are any, and
 * nothing must have happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/blkqcow2.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_INDEX	4711
#define PAGE		4096
#define BAD_POINTER	0x7fff00000000ull	/* nothing is there */

/* Larger than any argument, for what does not exist yet. */
union arg {
	struct qcow2_ctl_head head;
	struct qcow2_ctl_attach attach;
	struct qcow2_ctl_detach detach;
	struct qcow2_ctl_freeze freeze;
	struct qcow2_ctl_thaw thaw;
	struct qcow2_ctl_info info;
	struct qcow2_ctl_resume resume;
	uint8_t bytes[2 * PAGE];
};

static const struct command {
	const char *name;
	unsigned int nr;
	size_t size;
	uint32_t flags;		/* those that exist */
} commands[] = {
	{ "ATTACH", QCOW2_CTL_ATTACH, sizeof(struct qcow2_ctl_attach),
	  QCOW2_ATTACH_F_READONLY | QCOW2_ATTACH_F_PARK },
	{ "DETACH", QCOW2_CTL_DETACH, sizeof(struct qcow2_ctl_detach),
	  QCOW2_DETACH_F_DEFERRED | QCOW2_DETACH_F_FORCE },
	{ "FREEZE", QCOW2_CTL_FREEZE, sizeof(struct qcow2_ctl_freeze),
	  QCOW2_FREEZE_F_NO_FS | QCOW2_FREEZE_F_FAIL },
	{ "THAW", QCOW2_CTL_THAW, sizeof(struct qcow2_ctl_thaw),
	  QCOW2_THAW_F_IMAGE | QCOW2_THAW_F_SHRINK },
	{ "INFO", QCOW2_CTL_INFO, sizeof(struct qcow2_ctl_info),
	  QCOW2_INFO_F_NEXT | QCOW2_INFO_F_DATA_PATH | QCOW2_INFO_F_REASON },
	{ "RESUME", QCOW2_CTL_RESUME, sizeof(struct qcow2_ctl_resume), 0 },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static const char *image, *overlay, *raw;
static int control;
static char text[512];
static union arg arg;
static unsigned int nr_checks, nr_failed;

static int nr_devices(void)
{
	struct qcow2_ctl_info info = { .head.flags = QCOW2_INFO_F_NEXT };
	int nr;

	for (nr = 0; ; nr++) {
		info.head.size = sizeof(info);
		if (ioctl(control, QCOW2_CTL_INFO, &info))
			return nr;
		info.index++;
	}
}

static void verdict(bool good, const char *what, const char *is)
{
	nr_checks++;
	if (good)
		return;
	nr_failed++;
	printf("FAIL: %s: %s\n", what, is);
}

/* Prepare @arg for a command that has nothing wrong with it but its device. */
static void begin(const struct command *c)
{
	memset(&arg, 0, sizeof(arg));
	arg.head.size = c->size;
	arg.head.err_buf = (uintptr_t)text;
	arg.head.err_len = sizeof(text);
	/* In all of them the index is what comes first. */
	arg.detach.index = NO_INDEX;
}

/* Do it, and expect @want, 0 or an errno, and no other devices than before. */
static void call_at(void *p, unsigned int nr, int want, const char *what)
{
	int before = nr_devices(), ret, error;
	char is[640];

	memset(text, 'x', sizeof(text));
	ret = ioctl(control, nr, p);
	error = ret ? errno : 0;
	snprintf(is, sizeof(is), "%s, not %s; text '%.*s'",
		 error ? strerror(error) : "success",
		 want ? strerror(want) : "success", 200, text);
	verdict(error == want, what, is);
	if (want)
		verdict(nr_devices() == before, what, "devices came or went");
}

static void call(unsigned int nr, int want, const char *what)
{
	call_at(&arg, nr, want, what);
}

/* The same, with words: a sentence that ends where it says. */
static void call_words(unsigned int nr, int want, const char *what)
{
	size_t len;

	call(nr, want, what);
	len = strnlen(text, sizeof(text));
	verdict(len < sizeof(text) && len > 5 && text[len - 1] != '\n' &&
		!strchr(text, '\n'), what, "no proper text");
}

static int open_image(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC);

	if (fd < 0) {
		perror(name);
		exit(1);
	}
	return fd;
}

static void begin_attach(struct qcow2_ctl_layer *layers, unsigned int nr)
{
	begin(&commands[0]);
	arg.attach.index = -1;
	arg.attach.nr_layers = nr;
	arg.attach.layers = (uintptr_t)layers;
}

static void detach(int index, uint32_t flags)
{
	begin(&commands[1]);
	arg.head.flags = flags;
	arg.detach.index = index;
	call(QCOW2_CTL_DETACH, 0, "detach");
}

static void test_head(const struct command *c)
{
	/* With a device that does not exist all that is well-formed gets ENODEV. */
	int well = c->nr == QCOW2_CTL_ATTACH ? EINVAL : ENODEV;
	char what[64];
	uint32_t bit;

	snprintf(what, sizeof(what), "%s, no such device", c->name);
	begin(c);
	call_words(c->nr, well, what);

	snprintf(what, sizeof(what), "%s, bad pointer", c->name);
	call_at((void *)BAD_POINTER, c->nr, EFAULT, what);
	call_at(NULL, c->nr, EFAULT, what);

	snprintf(what, sizeof(what), "%s, size 0", c->name);
	begin(c);
	arg.head.size = 0;
	call(c->nr, EINVAL, what);
	snprintf(what, sizeof(what), "%s, size less than the head's", c->name);
	arg.head.size = sizeof(struct qcow2_ctl_head) - 1;
	call(c->nr, EINVAL, what);

	snprintf(what, sizeof(what), "%s, larger, zeroes", c->name);
	begin(c);
	arg.head.size = c->size + 40;
	call(c->nr, well, what);
	arg.head.size = PAGE;
	call(c->nr, well, what);
	snprintf(what, sizeof(what), "%s, larger, not zeroes", c->name);
	arg.head.size = c->size + 40;
	arg.bytes[c->size + 39] = 1;
	call(c->nr, E2BIG, what);
	arg.bytes[c->size + 39] = 0;
	arg.bytes[c->size] = 1;
	call(c->nr, E2BIG, what);
	snprintf(what, sizeof(what), "%s, larger than anything", c->name);
	begin(c);
	arg.head.size = UINT32_MAX;
	verdict(ioctl(control, c->nr, &arg) &&
		(errno == EINVAL || errno == E2BIG), what, "other errno");

	for (bit = 1; bit; bit <<= 1) {
		if (bit & c->flags)
			continue;
		snprintf(what, sizeof(what), "%s, flag 0x%x", c->name, bit);
		begin(c);
		arg.head.flags = bit;
		call_words(c->nr, EINVAL, what);
	}
	snprintf(what, sizeof(what), "%s, reserved", c->name);
	begin(c);
	arg.head.reserved = 1;
	call_words(c->nr, EINVAL, what);

	snprintf(what, sizeof(what), "%s, bad place for the text", c->name);
	begin(c);
	arg.head.err_buf = BAD_POINTER;
	verdict(ioctl(control, c->nr, &arg) && (errno == well || errno == EFAULT),
		what, "other errno");
	snprintf(what, sizeof(what), "%s, no place for the text", c->name);
	begin(c);
	arg.head.err_buf = 0;
	call(c->nr, well, what);
	begin(c);
	arg.head.err_len = 0;
	call(c->nr, well, what);
	verdict(text[0] == 'x', what, "it was written all the same");
	snprintf(what, sizeof(what), "%s, little place for the text", c->name);
	begin(c);
	arg.head.err_len = 6;
	call(c->nr, well, what);
	verdict(strnlen(text, 6) == 5 && text[6] == 'x', what, "not cut to it");
	begin(c);
	arg.head.err_len = 1;
	call(c->nr, well, what);
	verdict(!text[0] && text[1] == 'x', what, "not cut to it");
}

static void test_numbers(void)
{
	begin(&commands[4]);
	call(_IOWR(0xB9, 0x06, struct qcow2_ctl_info), ENOTTY, "unknown number");
	call(_IOWR(0xB9, 0xff, struct qcow2_ctl_info), ENOTTY, "unknown number");
	call(_IOWR(0xB8, 0x04, struct qcow2_ctl_info), ENOTTY, "unknown type");
	call(0x1277, ENOTTY, "a block device's ioctl");
}

static void test_reserved(void)
{
	begin(&commands[1]);
	arg.detach.reserved = 1;
	call_words(QCOW2_CTL_DETACH, EINVAL, "DETACH, other reserved");
	begin(&commands[2]);
	arg.freeze.reserved = 1;
	call_words(QCOW2_CTL_FREEZE, EINVAL, "FREEZE, other reserved");
	begin(&commands[4]);
	arg.info.reserved = 1;
	call_words(QCOW2_CTL_INFO, EINVAL, "INFO, other reserved");
	begin(&commands[5]);
	arg.resume.reserved = 1;
	call_words(QCOW2_CTL_RESUME, EINVAL, "RESUME, other reserved");
}

/* One layer as @fd and @format; it is closed. */
static void attach_one(int fd, uint32_t format, uint32_t flags, int want,
		       const char *what)
{
	struct qcow2_ctl_layer layer = { fd, format, -1 };

	begin_attach(&layer, 1);
	arg.head.flags = flags;
	call_words(QCOW2_CTL_ATTACH, want, what);
	if (fd >= 0)
		close(fd);
}

/* As attach_one(), for any error: several would be right. */
static void attach_wrong(int fd, uint32_t flags, const char *what)
{
	struct qcow2_ctl_layer layer = { fd, QCOW2_FORMAT_QCOW2, -1 };
	int before = nr_devices();

	begin_attach(&layer, 1);
	arg.head.flags = flags;
	memset(text, 'x', sizeof(text));
	verdict(ioctl(control, QCOW2_CTL_ATTACH, &arg) &&
		nr_devices() == before, what, "attached");
	verdict(strnlen(text, sizeof(text)) < sizeof(text) && text[0], what,
		"no text");
	close(fd);
}

static void test_layers(void)
{
	static struct qcow2_ctl_layer layers[QCOW2_MAX_LAYERS + 1];
	int pipes[2], i;

	for (i = 0; i <= QCOW2_MAX_LAYERS; i++)
		layers[i] = (struct qcow2_ctl_layer){ -1, QCOW2_FORMAT_QCOW2, -1 };
	begin_attach(layers, 0);
	call_words(QCOW2_CTL_ATTACH, EINVAL, "no layers");
	begin_attach(layers, QCOW2_MAX_LAYERS + 1);
	call_words(QCOW2_CTL_ATTACH, EINVAL, "257 layers");
	begin_attach(layers, UINT32_MAX);
	call_words(QCOW2_CTL_ATTACH, EINVAL, "4294967295 layers");
	begin_attach(layers, QCOW2_MAX_LAYERS);
	call(QCOW2_CTL_ATTACH, EBADF, "256 layers, descriptor -1");
	begin_attach((void *)BAD_POINTER, 1);
	call(QCOW2_CTL_ATTACH, EFAULT, "layers nowhere");
	begin_attach(NULL, 1);
	call(QCOW2_CTL_ATTACH, EFAULT, "layers at 0");

	attach_one(-1, QCOW2_FORMAT_QCOW2, 0, EBADF, "descriptor -1");
	attach_one(999, QCOW2_FORMAT_QCOW2, 0, EBADF, "descriptor 999");
	attach_one(open_image(image, O_PATH), QCOW2_FORMAT_QCOW2, 0, EBADF,
		   "O_PATH");
	for (i = 0; i < 2; i++) {
		static const uint32_t wrong[] = { 3, UINT32_MAX };

		attach_one(open_image(image, O_RDWR), wrong[i], 0, EINVAL,
			   "unknown format");
	}
	attach_one(open_image(image, O_RDWR), 0, 0, EINVAL, "format 0");
	attach_one(open_image(image, O_RDWR), QCOW2_FORMAT_RAW, 0, EINVAL,
		   "active layer raw");
	attach_one(open_image(raw, O_RDWR), QCOW2_FORMAT_QCOW2, 0, EINVAL,
		   "raw file as qcow2");
	attach_wrong(open_image(image, O_RDONLY), 0, "not open for writing");
	attach_wrong(open_image(image, O_WRONLY), 0, "not open for reading");
	attach_wrong(open_image(image, O_WRONLY), QCOW2_ATTACH_F_READONLY,
		     "not open for reading, read-only");
	attach_wrong(open_image("/", O_RDONLY | O_DIRECTORY),
		     QCOW2_ATTACH_F_READONLY, "directory");
	attach_wrong(open_image("/dev/zero", O_RDWR), 0, "character device");
	attach_wrong(open_image("/dev/" QCOW2_CONTROL_NAME, O_RDWR), 0,
		     "control device");
	if (!pipe(pipes)) {
		attach_wrong(pipes[0], QCOW2_ATTACH_F_READONLY, "pipe");
		close(pipes[1]);
	}
	attach_wrong(syscall(SYS_memfd_create, "empty", 0), 0, "empty memory");
}

/* The array must be as long as the chain. */
static void test_chain(void)
{
	struct qcow2_ctl_layer layers[3] = {
		{ open_image(overlay, O_RDWR), QCOW2_FORMAT_QCOW2, -1 },
		{ open_image(image, O_RDONLY), QCOW2_FORMAT_QCOW2, -1 },
		{ open_image(raw, O_RDONLY), QCOW2_FORMAT_RAW, -1 },
	};
	struct qcow2_ctl_layer twice[2] = {
		layers[0],
		{ open_image(overlay, O_RDONLY), QCOW2_FORMAT_QCOW2, -1 },
	};

	begin_attach(layers, 1);
	call_words(QCOW2_CTL_ATTACH, EINVAL, "chain too short");
	begin_attach(layers, 3);
	call_words(QCOW2_CTL_ATTACH, EINVAL, "chain too long");
	begin_attach(twice, 2);
	memset(text, 0, sizeof(text));
	verdict(ioctl(control, QCOW2_CTL_ATTACH, &arg), "a layer twice",
		"attached");
	begin_attach(layers, 2);
	call(QCOW2_CTL_ATTACH, 0, "chain");
	verdict(!text[0], "chain", "text although it succeeded");
	detach(arg.attach.index, 0);
	close(layers[0].fd);
	close(layers[1].fd);
	close(layers[2].fd);
	close(twice[1].fd);
}

/* An external data file is handed over exactly if the header asks for it. */
static void test_data_fd(void)
{
	struct qcow2_ctl_layer layer = {
		open_image(image, O_RDWR), QCOW2_FORMAT_QCOW2, -1, 1
	};
	int other = open_image(raw, O_RDWR);

	begin_attach(&layer, 1);
	call_words(QCOW2_CTL_ATTACH, EINVAL, "layer's reserved field");
	layer.reserved = 0;
	layer.data_fd = other;
	begin_attach(&layer, 1);
	call_words(QCOW2_CTL_ATTACH, EINVAL, "data file for an image without");
	layer.data_fd = layer.fd;
	begin_attach(&layer, 1);
	call_words(QCOW2_CTL_ATTACH, ELOOP, "image as its own data file");
	layer.data_fd = -2;
	begin_attach(&layer, 1);
	call_words(QCOW2_CTL_ATTACH, EBADF, "data file -2");
	/* The last byte of the incompatible features. */
	layer.data_fd = -1;
	if (pwrite(layer.fd, "\4", 1, 79) != 1)
		perror(image);
	begin_attach(&layer, 1);
	call_words(QCOW2_CTL_ATTACH, EINVAL, "no data file for an image with one");
	if (pwrite(layer.fd, "", 1, 79) != 1)
		perror(image);
	close(layer.fd);
	close(other);
}

static void test_index(void)
{
	struct qcow2_ctl_layer layer = {
		open_image(image, O_RDWR), QCOW2_FORMAT_QCOW2, -1
	};
	struct qcow2_ctl_layer other = {
		open_image(image, O_RDWR), QCOW2_FORMAT_QCOW2, -1
	};
	static const int wrong[] = { -2, INT32_MIN, 1 << 20, INT32_MAX };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		begin_attach(&layer, 1);
		arg.attach.index = wrong[i];
		call_words(QCOW2_CTL_ATTACH, EINVAL, "index out of range");
	}
	begin_attach(&layer, 1);
	arg.attach.index = 77;
	call(QCOW2_CTL_ATTACH, 0, "index 77");
	verdict(arg.attach.index == 77, "index 77", "not given");
	begin_attach(&other, 1);
	arg.attach.index = 77;
	call_words(QCOW2_CTL_ATTACH, EEXIST, "index 77 again");
	begin_attach(&other, 1);
	call_words(QCOW2_CTL_ATTACH, EBUSY, "image again");
	detach(77, 0);
	for (i = 1; i < NR_COMMANDS; i++) {
		begin(&commands[i]);
		arg.detach.index = 77;
		call_words(commands[i].nr, ENODEV, "index 77 after detach");
		begin(&commands[i]);
		arg.detach.index = -1;
		call(commands[i].nr, ENODEV, "index -1");
		begin(&commands[i]);
		arg.detach.index = INT32_MIN;
		call(commands[i].nr, ENODEV, "least index");
	}
	close(layer.fd);
	close(other.fd);
}

/* Whoever cannot be told the number of a device must not get one. */
static void test_answer(void)
{
	struct qcow2_ctl_layer layer = {
		open_image(image, O_RDWR), QCOW2_FORMAT_QCOW2, -1
	};
	union arg *fixed = mmap(NULL, sizeof(arg), PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	begin_attach(&layer, 1);
	memcpy(fixed, &arg, sizeof(arg));
	mprotect(fixed, sizeof(arg), PROT_READ);
	call_at(fixed, QCOW2_CTL_ATTACH, EFAULT, "attach, answer nowhere");
	munmap(fixed, sizeof(arg));
	begin_attach(&layer, 1);
	arg.head.err_buf = BAD_POINTER;
	call(QCOW2_CTL_ATTACH, EFAULT, "attach, text nowhere");

	begin_attach(&layer, 1);
	arg.attach.cache_bytes = UINT64_MAX;
	if (!ioctl(control, QCOW2_CTL_ATTACH, &arg))
		detach(arg.attach.index, 0);
	begin_attach(&layer, 1);
	arg.attach.cache_bytes = 1;
	if (!ioctl(control, QCOW2_CTL_ATTACH, &arg))
		detach(arg.attach.index, 0);
	/* There has never been a program that does not know cache_bytes. */
	begin_attach(&layer, 1);
	arg.head.size = offsetof(struct qcow2_ctl_attach, cache_bytes);
	call(QCOW2_CTL_ATTACH, EINVAL, "attach, shorter");
	while (nr_devices()) {
		begin(&commands[4]);
		arg.head.flags = QCOW2_INFO_F_NEXT;
		arg.info.index = 0;
		if (ioctl(control, QCOW2_CTL_INFO, &arg))
			break;
		detach(arg.info.index, QCOW2_DETACH_F_FORCE);
	}
	close(layer.fd);
}

static void info(int want, const char *what, uint32_t layer, uint64_t path,
		 uint32_t len)
{
	begin(&commands[4]);
	arg.info.index = 5;
	arg.info.layer = layer;
	arg.info.path = path;
	arg.info.path_len = len;
	call(QCOW2_CTL_INFO, want, what);
}

static void test_info(void)
{
	static char path[QCOW2_PATH_MAX], want[QCOW2_PATH_MAX];

	if (!realpath(image, want))
		exit(1);
	info(0, "info", 0, (uintptr_t)path, sizeof(path));
	verdict(!strcmp(path, want), "info, path", path);
	verdict(arg.info.state == QCOW2_STATE_LIVE && arg.info.nr_layers == 1 &&
		arg.info.layer_format == QCOW2_FORMAT_QCOW2 &&
		arg.info.layer_version == 3 && arg.info.layer_cluster_bits == 16 &&
		arg.info.layer_refcount_bits == 16 &&
		arg.info.size_bytes == arg.info.layer_virtual_size &&
		arg.info.path == (uintptr_t)path, "info", "wrong");
	info(0, "info, no path", 0, 0, 0);
	info(0, "info, path fits", 0, (uintptr_t)path, strlen(want) + 1);
	info(ENAMETOOLONG, "info, path does not fit", 0, (uintptr_t)path,
	     strlen(want));
	info(EFAULT, "info, path nowhere", 0, BAD_POINTER, sizeof(path));
	info(EINVAL, "info, no such layer", 1, 0, 0);
	info(EINVAL, "info, last layer there is", UINT32_MAX, 0, 0);

	begin(&commands[4]);
	arg.head.flags = QCOW2_INFO_F_NEXT;
	arg.info.index = 3;
	call(QCOW2_CTL_INFO, 0, "info, next");
	verdict(arg.info.index == 5, "info, next", "other device");
	begin(&commands[4]);
	arg.head.flags = QCOW2_INFO_F_NEXT;
	arg.info.index = 6;
	call(QCOW2_CTL_INFO, ENODEV, "info, after the last one");
	begin(&commands[4]);
	arg.info.index = 3;
	call(QCOW2_CTL_INFO, ENODEV, "info, not next");
	begin(&commands[4]);
	arg.info.index = 5;
	arg.head.size = offsetof(struct qcow2_ctl_info, size_bytes);
	call(QCOW2_CTL_INFO, EINVAL, "info, shorter");
	begin(&commands[4]);
	arg.info.index = 5;
	arg.head.size = sizeof(struct qcow2_ctl_info) + 8;
	call(QCOW2_CTL_INFO, 0, "info, longer");
}

static void attach_5(int flags, const char *what)
{
	int fd = open_image(image, flags);

	begin_attach(&(struct qcow2_ctl_layer){ fd, QCOW2_FORMAT_QCOW2, -1 }, 1);
	arg.attach.index = 5;
	call(QCOW2_CTL_ATTACH, 0, what);
	close(fd);
}

/* As the loop driver does, and no other way on some file systems. */
static void test_direct(int flags, uint32_t want, const char *what)
{
	attach_5(O_RDWR | flags, what);
	info(0, what, 0, 0, 0);
	verdict((arg.info.dev_flags & QCOW2_DEV_F_BUFFERED) == want, what,
		"something else is reported");
	detach(5, 0);
}

/* What thaw() asks for. */
static uint64_t window;
static uint32_t thaw_flags;

static void thaw(struct qcow2_ctl_layer *layers, uint32_t nr, int want,
		 const char *what)
{
	begin(&commands[3]);
	arg.head.flags = thaw_flags;
	arg.thaw.window = window;
	arg.thaw.index = 5;
	arg.thaw.nr_layers = nr;
	arg.thaw.layers = (uintptr_t)layers;
	call(QCOW2_CTL_THAW, want, what);
}

static void expect_state(uint32_t state, const char *what)
{
	info(0, what, 0, 0, 0);
	verdict(arg.info.state == state, what, "in another state");
}

static void test_window(void)
{
	struct qcow2_ctl_layer layer = {
		open_image(image, O_RDWR), QCOW2_FORMAT_QCOW2, -1
	};
	struct qcow2_ctl_layer wrong = {
		open_image(raw, O_RDWR), QCOW2_FORMAT_QCOW2, -1
	};

	static const int nowhere = -1;

	thaw(NULL, 0, EINVAL, "thaw what is live");
	begin(&commands[2]);
	arg.freeze.index = 5;
	arg.head.flags = QCOW2_FREEZE_F_NO_FS;
	arg.freeze.nr_mounts = QCOW2_MAX_MOUNTS + 1;
	call_words(QCOW2_CTL_FREEZE, E2BIG, "freeze with 257 file systems");
	arg.freeze.nr_mounts = 1;
	arg.freeze.mounts = BAD_POINTER;
	call_words(QCOW2_CTL_FREEZE, EFAULT, "freeze with file systems nowhere");
	arg.freeze.mounts = (uintptr_t)&nowhere;
	/* None was taken over by halves. */
	call_words(QCOW2_CTL_FREEZE, EBADF, "freeze with no file system");
	arg.head.flags = 0;
	arg.freeze.mounts = (uintptr_t)&layer.fd;
	call_words(QCOW2_CTL_FREEZE, EINVAL, "freeze with the file system of the image");
	arg.head.flags = QCOW2_FREEZE_F_NO_FS;
	arg.freeze.nr_mounts = 0;
	call(QCOW2_CTL_FREEZE, 0, "freeze");
	window = arg.freeze.window;
	expect_state(QCOW2_STATE_FROZEN, "frozen");
	begin(&commands[2]);
	arg.freeze.index = 5;
	call_words(QCOW2_CTL_FREEZE, EBUSY, "freeze what is frozen");
	window--;
	thaw(&layer, 1, ECANCELED, "thaw of another window");
	window = 0;
	thaw(&wrong, 1, ESTALE, "thaw with another file");
	thaw_flags = QCOW2_THAW_F_IMAGE;
	thaw(&wrong, 1, EINVAL, "thaw with another file that is no image");
	thaw_flags = 0;
	expect_state(QCOW2_STATE_FROZEN, "after a failed thaw");
	thaw(&layer, QCOW2_MAX_LAYERS + 1, EINVAL, "thaw with 257 layers");
	thaw((void *)BAD_POINTER, 1, EFAULT, "thaw with layers nowhere");
	layer.format = 9;
	thaw(&layer, 1, EINVAL, "thaw with an unknown format");
	layer.format = QCOW2_FORMAT_QCOW2;
	expect_state(QCOW2_STATE_FROZEN, "after failed thaws");
	thaw(&layer, 1, 0, "thaw with the file opened again");
	expect_state(QCOW2_STATE_LIVE, "live");
	close(layer.fd);
	close(wrong.fd);
}

static void expect_eperm(const char *what)
{
	unsigned int i;

	for (i = 0; i < NR_COMMANDS; i++) {
		int ret;

		begin(&commands[i]);
		arg.detach.index = 5;
		ret = ioctl(control, commands[i].nr, &arg);
		verdict(ret && errno == EPERM, what, commands[i].name);
	}
}

static void in_child(void (*test)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		nr_failed = 0;
		test();
		fflush(stdout);
		_exit(nr_failed != 0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		nr_failed++;
	nr_checks++;
}

static void test_no_capability(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		exit(1);
	d[0].effective &= ~(1u << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &h, d))
		exit(1);
	expect_eperm("without CAP_SYS_ADMIN");
}

/* All capabilities there are, but not in the namespace that counts. */
static void test_namespace(void)
{
	if (unshare(CLONE_NEWUSER)) {
		printf("no user namespaces: not tested\n");
		return;
	}
	expect_eperm("in a user namespace");
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc != 4) {
		fprintf(stderr, "usage: ioctl_test IMAGE OVERLAY RAW\n");
		return 2;
	}
	image = argv[1];
	overlay = argv[2];
	raw = argv[3];
	control = open("/dev/" QCOW2_CONTROL_NAME, O_RDWR | O_CLOEXEC);
	if (control < 0) {
		perror(QCOW2_CONTROL_NAME);
		return 1;
	}
	test_numbers();
	for (i = 0; i < NR_COMMANDS; i++)
		test_head(&commands[i]);
	test_reserved();
	test_layers();
	test_chain();
	test_data_fd();
	test_index();
	test_answer();
	test_direct(0, QCOW2_DEV_F_BUFFERED, "opened without O_DIRECT");
	test_direct(O_DIRECT, 0, "opened with O_DIRECT");

	attach_5(O_RDWR, "index 5");
	test_info();
	test_window();
	in_child(test_no_capability);
	in_child(test_namespace);
	detach(5, 0);
	verdict(!nr_devices(), "at the end", "devices are left");
	printf("ioctl_test: %u checks, %u failed\n", nr_checks, nr_failed);
	return nr_failed ? 1 : 0;
}
