// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stand-in for the driver, for tests of qcow2ctl on any machine
 *
 * Linked with --wrap. Devices live in the file $FAKE_STATE, calls are noted
 * in $FAKE_STATE.log. $FAKE_FAIL="REQUEST:ERRNO:COUNT[:TEXT]" makes the
 * first COUNT calls of REQUEST in a process fail; $FAKE_DELAY="REQUEST:MS"
 * makes each of them take its time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/blkqcow2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONTROL_PATH	"/dev/" QCOW2_CONTROL_NAME
#define NR_DEVICES	4
#define NR_KEPT		8
#define INCOMPAT_DATA_FILE	4

struct fake {
	struct {
		int state;
		int readonly;
		unsigned int nr;
		unsigned int format[NR_KEPT];
		char path[NR_KEPT][QCOW2_PATH_MAX];
		char data_path[NR_KEPT][QCOW2_PATH_MAX];
	} device[NR_DEVICES];
};

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_device_wait(int index);

static struct fake *fake;
static unsigned int calls;

static void note(const char *fmt, ...)
{
	char name[QCOW2_PATH_MAX];
	va_list ap;
	FILE *f;

	snprintf(name, sizeof(name), "%s.log", getenv("FAKE_STATE"));
	f = fopen(name, "ae");
	if (!f)
		abort();
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static int open_control(void)
{
	const char *name = getenv("FAKE_STATE");
	int fd;

	if (!name) {
		errno = ENOENT;
		return -1;
	}
	fd = __real_open64(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*fake)))
		abort();
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fake == MAP_FAILED)
		abort();
	return fd;
}

static int open_any(const char *path, int flags, va_list ap)
{
	int mode = flags & O_CREAT ? va_arg(ap, int) : 0;

	return strcmp(path, CONTROL_PATH) ? __real_open64(path, flags, mode) : open_control();
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = open_any(path, flags, ap);
	va_end(ap);
	return fd;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = open_any(path, flags, ap);
	va_end(ap);
	return fd;
}

int __wrap_device_wait(int index)
{
	(void)index;
	return getenv("FAKE_NO_NODE") ? -ETIMEDOUT : 0;
}

static int refuse(struct qcow2_ctl_head *head, int error, const char *text)
{
	if (head->err_buf && text)
		snprintf((char *)(uintptr_t)head->err_buf, head->err_len, "%s", text);
	errno = error;
	return -1;
}

/* Notes open file @fd and finds its path. Returns its access mode. */
static int note_file(int fd, const char *kind, char path[QCOW2_PATH_MAX])
{
	int flags = fcntl(fd, F_GETFL);
	char name[32];
	ssize_t len;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	len = readlink(name, path, QCOW2_PATH_MAX - 1);
	if (len < 0 || flags < 0 || flags & O_PATH || fd <= STDERR_FILENO ||
	    !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
		abort();
	path[len] = 0;
	note(" %s:%s:%s", kind, (flags & O_ACCMODE) == O_RDWR ? "rw" : "ro", path);
	return flags & O_ACCMODE;
}

/* Only the active layer is open for writing, and a data file as its image. */
static void keep_layers(int index, unsigned int nr, uint64_t address)
{
	const struct qcow2_ctl_layer *layers = (const void *)(uintptr_t)address;
	char path[QCOW2_PATH_MAX], data_path[QCOW2_PATH_MAX];
	unsigned int i;
	bool raw;
	int mode;

	fake->device[index].nr = nr;
	for (i = 0; i < nr; i++) {
		raw = layers[i].format == QCOW2_FORMAT_RAW;
		mode = note_file(layers[i].fd, raw ? "raw" : "qcow2", path);
		if (mode != (i || fake->device[index].readonly ? O_RDONLY : O_RDWR) ||
		    layers[i].reserved || layers[i].data_fd < -1 ||
		    (raw && layers[i].data_fd != -1))
			abort();
		*data_path = 0;
		if (layers[i].data_fd >= 0 &&
		    note_file(layers[i].data_fd, "data", data_path) != mode)
			abort();
		if (i < NR_KEPT) {
			fake->device[index].format[i] = layers[i].format;
			strcpy(fake->device[index].path[i], path);
			strcpy(fake->device[index].data_path[i], data_path);
		}
	}
	note("\n");
}

static int attach(struct qcow2_ctl_attach *arg)
{
	int i = arg->index;

	if (i < 0)
		for (i = 0; i < NR_DEVICES && fake->device[i].state; i++)
			;
	if (i >= NR_DEVICES || fake->device[i].state)
		return refuse(&arg->head, EEXIST, "the index is taken");
	arg->index = i;
	fake->device[i].state = QCOW2_STATE_LIVE;
	fake->device[i].readonly = arg->head.flags & QCOW2_ATTACH_F_READONLY;
	note("attach %d cache=%llu%s%s", i, (unsigned long long)arg->cache_bytes,
	     fake->device[i].readonly ? " read-only" : "",
	     arg->head.flags & QCOW2_ATTACH_F_PARK ? " park" : "");
	keep_layers(i, arg->nr_layers, arg->layers);
	return 0;
}

static int detach(struct qcow2_ctl_detach *arg)
{
	note("detach %d flags=%u\n", arg->index, arg->head.flags);
	fake->device[arg->index].state = 0;
	return 0;
}

static int freeze(struct qcow2_ctl_freeze *arg)
{
	if (fake->device[arg->index].state == QCOW2_STATE_FROZEN)
		return refuse(&arg->head, EBUSY, "the device is frozen already");
	note("freeze %d flags=%u\n", arg->index, arg->head.flags);
	fake->device[arg->index].state = QCOW2_STATE_FROZEN;
	arg->window = 1;
	return 0;
}

static int thaw(struct qcow2_ctl_thaw *arg)
{
	note("thaw %d", arg->index);
	fake->device[arg->index].state = QCOW2_STATE_LIVE;
	keep_layers(arg->index, arg->nr_layers, arg->layers);
	return 0;
}

static int resume(struct qcow2_ctl_resume *arg)
{
	if (fake->device[arg->index].state != QCOW2_STATE_LIVE)
		return refuse(&arg->head, EINVAL, "the device is frozen");
	note("resume %d\n", arg->index);
	return 0;
}

static int info(struct qcow2_ctl_info *arg)
{
	int i = arg->index;
	bool data;

	if (arg->layer >= fake->device[i].nr)
		return refuse(&arg->head, EINVAL, "no such layer");
	arg->state = fake->device[i].state;
	arg->dev_flags = fake->device[i].readonly ? QCOW2_DEV_F_READONLY : 0;
	arg->nr_layers = fake->device[i].nr;
	arg->layer_format = fake->device[i].format[arg->layer];
	arg->layer_version = 3;
	arg->layer_cluster_bits = 16;
	arg->layer_refcount_bits = 16;
	arg->layer_virtual_size = 3ull << 29;
	arg->logical_block_size = 512;
	arg->size_bytes = 3ull << 29;
	arg->frozen_ns = 1234567890;
	if (*fake->device[i].data_path[arg->layer])
		arg->layer_incompatible = INCOMPAT_DATA_FILE;
	data = arg->head.flags & QCOW2_INFO_F_DATA_PATH;
	/* Which is to be asked for only where there is one. */
	if (data && !arg->layer_incompatible)
		abort();
	snprintf((char *)(uintptr_t)arg->path, arg->path_len, "%s",
		 arg->head.flags & QCOW2_INFO_F_REASON ? "" : data ? fake->device[i].data_path[arg->layer] :
		 fake->device[i].path[arg->layer]);
	return 0;
}

static const char *request_name(unsigned long request)
{
	static const char *const names[] = { "attach", "detach", "freeze", "thaw", "info",
					     "resume" };

	return _IOC_NR(request) < 6 ? names[_IOC_NR(request)] : "?";
}

static int injected(unsigned long request, struct qcow2_ctl_head *head)
{
	char name[16], text[128] = "";
	unsigned int error, count;

	if (!getenv("FAKE_FAIL") ||
	    sscanf(getenv("FAKE_FAIL"), "%15[^:]:%u:%u:%127[^\n]", name, &error, &count,
		   text) < 3)
		return 0;
	if (strcmp(name, request_name(request)) || calls++ >= count)
		return 0;
	return refuse(head, error, text);
}

static void delay(unsigned long request)
{
	char name[16];
	unsigned int ms;

	if (getenv("FAKE_DELAY") &&
	    sscanf(getenv("FAKE_DELAY"), "%15[^:]:%u", name, &ms) == 2 &&
	    !strcmp(name, request_name(request)))
		usleep(ms * 1000);
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct qcow2_ctl_head *head = arg;
	struct qcow2_ctl_info *any = arg;

	if (_IOC_TYPE(request) != _IOC_TYPE(QCOW2_CTL_INFO))
		return __real_ioctl(fd, request, arg);
	if (head->size != _IOC_SIZE(request) || head->reserved)
		abort();
	delay(request);
	if (injected(request, head))
		return -1;
	if (request == QCOW2_CTL_INFO && head->flags & QCOW2_INFO_F_NEXT)
		while (any->index < NR_DEVICES && !fake->device[any->index].state)
			any->index++;
	if (request != QCOW2_CTL_ATTACH &&
	    (any->index < 0 || any->index >= NR_DEVICES || !fake->device[any->index].state))
		return refuse(head, ENODEV, NULL);
	switch (request) {
	case QCOW2_CTL_ATTACH:
		return attach(arg);
	case QCOW2_CTL_DETACH:
		return detach(arg);
	case QCOW2_CTL_FREEZE:
		return freeze(arg);
	case QCOW2_CTL_THAW:
		return thaw(arg);
	case QCOW2_CTL_INFO:
		return info(arg);
	case QCOW2_CTL_RESUME:
		return resume(arg);
	default:
		abort();
	}
}
