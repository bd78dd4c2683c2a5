// SPDX-License-Identifier: GPL-2.0-only
/*
 * mutate: attach images that somebody has tampered with, and use them.
 *
 * From good images (kinds) it makes bad ones: image I of seed S is always the
 * same. Each is attached, read, written, zeroed, discarded, flushed, frozen,
 * thawed, detached by ioctl, without starting a program. What may happen: attach
 * or thaw is refused, in words; I/O is done or fails with EIO. What must hold:
 *
 *	- it ends in time
 *	- a sector that is read is zeroes, or in one of the layers' files, or has been
 *	  written; and never anything of the canary, with which unused memory and
 *	  the rest of the disk are filled
 *	- backing files do not change; nor does an image that is attached read-only
 *	  or only read, but for the mark that it is corrupt
 *	- at the end all memory is there again
 *
 * That the kernel does not complain is for others to see.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/blkqcow2.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECTOR		512u
#define MAX_KINDS	64
#define MAX_FILES	6
#define MAX_FILE	(8u << 20)
#define MAX_PLACES	4096
#define MAX_JOBS	16
#define IO_BYTES	65536u
#define HEAD_BYTES	(2u << 20)	/* of a large disk so much is read */
#define PAGES_BYTES	(1u << 20)	/* of memory get the canary each time */
#define CANARY		0x9e3779b97f4a7c15ull

/* A file of a kind; the active layer is the first one. */
struct file {
	const char *name;
	char role;		/* a active, b backing, r raw backing, d data */
	uint8_t *data;		/* as it was made */
	size_t size;
	uint8_t *bad;		/* tampered with */
	size_t bad_size;
};

struct kind {
	struct file files[MAX_FILES];
	unsigned int nr;
};

/* Where something of interest lies in a file. */
enum what {
	AT_HEADER, AT_EXT, AT_L1, AT_L2, AT_REFTABLE, AT_BLOCK, AT_SNAPSHOT,
	AT_BITMAPS, AT_STREAM, AT_NR,
};

struct place {
	enum what what;
	size_t at;
	size_t bytes;
};

static struct kind kinds[MAX_KINDS];
static unsigned int nr_kinds;
static struct place places[MAX_PLACES];
static unsigned int nr_places;

static const char *dir = ".";
static uint64_t seed = 1, rng;
static unsigned long first, nr_images = 100;
static unsigned int limit = 30, jobs = 2;

static int control;
static char text[512];
static uint8_t *buffer;
static unsigned int job;
static unsigned long image;
static const char *doing = "";
static uint64_t *sums;
static size_t nr_sums;

/* What the jobs tell the one who watches them. */
static struct shared {
	struct {
		unsigned long image;
		time_t since;
		unsigned long refused;
		unsigned long errors;
	} job[MAX_JOBS];
} *shared;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
{
	va_list ap;

	printf("mutate: image %lu of seed %llu: %s: ", image,
	       (unsigned long long)seed, doing);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\nmutate: repeat with --seed %llu --first %lu --nr 1\n",
	       (unsigned long long)seed, image);
	fflush(stdout);
	_exit(1);
}

/* Who repeats a single image wants to know what is done to it. */
__attribute__((format(printf, 1, 2)))
static void say(const char *fmt, ...)
{
	va_list ap;

	if (nr_images != 1)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

static uint64_t any(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return n ? (rng * 0x2545f4914f6cdd1dull >> 16) % n : 0;
}

static uint64_t any64(void)
{
	return any(1ull << 32) << 32 | any(1ull << 32);
}

static uint64_t get(const uint8_t *p, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | *p++;
	return value;
}

static void put(uint8_t *p, unsigned int bytes, uint64_t value)
{
	while (bytes--) {
		p[bytes] = value;
		value >>= 8;
	}
}

/* ---- what there is to tamper with ---- */

static void add_place(const struct file *f, enum what what, uint64_t at,
		      uint64_t bytes)
{
	if (nr_places == MAX_PLACES || !bytes || at >= f->size ||
	    bytes > f->size - at)
		return;
	places[nr_places++] = (struct place){ what, at, bytes };
}

static void find_l2(const struct file *f, uint64_t at, uint32_t bits, bool extended)
{
	uint64_t i, step = extended ? 16 : 8;

	for (i = 0; i + step <= 1ull << bits && at + i + step <= f->size; i += step) {
		uint64_t raw = get(f->data + at + i, 8);
		uint32_t shift = 62 - (bits - 8);

		if (!raw && any(64))
			continue;
		add_place(f, AT_L2, at + i, step);
		if (raw >> 62 & 1)
			add_place(f, AT_STREAM, raw & ((1ull << shift) - 1),
				  ((raw & ~(3ull << 62)) >> shift) * 512 + 1);
	}
}

/* The kinds are good images: what they say of themselves is so. */
static void find_places(const struct file *f)
{
	const uint8_t *p = f->data;
	uint32_t bits = get(p + 20, 4), i;
	uint64_t cluster = 1ull << bits, l1 = get(p + 40, 8), table = get(p + 48, 8);
	bool extended = get(p + 4, 4) > 2 && p[79] & 16;
	uint32_t nr = get(p + 36, 4), length = get(p + 4, 4) > 2 ? get(p + 100, 4) : 72;

	nr_places = 0;
	add_place(f, AT_HEADER, 0, length);
	add_place(f, AT_EXT, length, cluster < 1024 ? cluster - length : 512);
	for (i = 0; i < nr; i++) {
		uint64_t raw = get(p + l1 + 8 * i, 8) & 0x00fffffffffffe00;

		if (raw || i < 4)
			add_place(f, AT_L1, l1 + 8 * i, 8);
		if (raw)
			find_l2(f, raw, bits, extended);
	}
	for (i = 0; i < get(p + 56, 4) << (bits - 3); i++) {
		uint64_t raw = get(p + table + 8 * i, 8);

		if (raw || i < 4)
			add_place(f, AT_REFTABLE, table + 8 * i, 8);
		if (raw)
			add_place(f, AT_BLOCK, raw,
				  cluster < 4096 ? cluster : 256);
	}
	if (get(p + 60, 4))
		add_place(f, AT_SNAPSHOT, get(p + 64, 8), 128);
	for (i = length; i + 32 < cluster && i + 32 < f->size && get(p + i, 4);
	     i += 8 + (get(p + i + 4, 4) + 7) / 8 * 8) {
		if (get(p + i, 4) == 0x23852875)
			add_place(f, AT_BITMAPS, get(p + i + 24, 8),
				  get(p + i + 16, 8));
	}
}

/* ---- tampering ---- */

static const struct field {
	unsigned int at;
	unsigned int bytes;
} fields[] = {
	{ 0, 4 }, { 4, 4 }, { 8, 8 }, { 16, 4 }, { 20, 4 }, { 24, 8 }, { 32, 4 },
	{ 36, 4 }, { 40, 8 }, { 48, 8 }, { 56, 4 }, { 60, 4 }, { 64, 8 }, { 72, 8 },
	{ 80, 8 }, { 88, 8 }, { 96, 4 }, { 100, 4 }, { 104, 1 },
};

/* An offset that may be somebody else's, or nobody's. */
static uint64_t any_offset(const struct file *f)
{
	uint32_t bits = get(f->data + 20, 4);
	uint64_t cluster = 1ull << bits, clusters = (f->size >> bits) + 1;

	switch (any(12)) {
	case 0:
		return 0;
	case 1:
		return f->size;
	case 2:
		return (clusters + any(4)) << bits;
	case 3:
		return (1ull << (bits + any(47 - bits + 9))) + any(2) * cluster;
	case 4:
		return 0x00fffffffffffe00 & -cluster;
	case 5:
		return INT64_MAX & -cluster;
	case 6:
		return -cluster;
	case 7:
		return any(f->size);
	case 8:
		return places[any(nr_places)].at & -cluster;
	default:
		return any(clusters) << bits;
	}
}

/* An entry of L1, L2 or the refcount table. */
static uint64_t any_entry(const struct file *f, uint64_t old)
{
	switch (any(8)) {
	case 0:
		return old ^ 1ull << any(64);
	case 1:
		return old ^ 1ull << 63;
	case 2:
		return any64();
	case 3:
		return 1ull << 62 | any64() >> any(20) % 12 | any_offset(f);
	case 4:
		return any_offset(f) | any(2) << 63 | any(2);
	default:
		return any_offset(f) | any(2) << 63;
	}
}

static uint64_t any_number(const struct file *f, uint64_t old)
{
	switch (any(10)) {
	case 0:
		return old + 1;
	case 1:
		return old - 1;
	case 2:
		return old ^ 1ull << any(64);
	case 3:
		return any(64);
	case 4:
		return 1ull << any(64);
	case 5:
		return -1ull >> any(64);
	case 6:
		return any64();
	case 7:
		return 0;
	default:
		return any_offset(f);
	}
}

static const struct place *any_place(enum what what)
{
	unsigned int i = any(nr_places), n;

	for (n = 0; n < nr_places; n++, i = (i + 1) % nr_places) {
		if (places[i].what == what)
			return &places[i];
	}
	return &places[any(nr_places)];
}

static void tamper_bytes(uint8_t *p, size_t bytes)
{
	size_t n = 1 + any(any(2) ? 4 : 64), at = any(bytes);

	for (; n && at < bytes; n--, at++)
		p[at] = any(3) ? any(256) : any(2) ? 0 : 0xff;
}

/* Refcounts: mostly all of a few clusters, with one value. */
static void tamper_block(uint8_t *p, size_t bytes)
{
	static const uint16_t values[] = { 0, 0, 1, 2, 0xffff };
	uint16_t value = values[any(5)];
	size_t at = any(bytes / 2) * 2 % bytes, n = 1 + any(8);

	for (; n && at + 2 <= bytes; n--, at += 2)
		put(p + at, 2, value);
}

static void tamper_clusters(struct file *f)
{
	uint32_t bits = get(f->data + 20, 4);
	uint64_t nr = f->bad_size >> bits, from, to;

	if (nr < 2)
		return;
	from = any(nr) << bits;
	to = any(nr) << bits;
	if (any(4))
		memmove(f->bad + to, f->bad + from, 1ull << bits);
	else
		memset(f->bad + to, any(2) ? 0 : 0xff, 1ull << bits);
}

/* Shorter, often by little; or longer, with what is no part of the image. */
static void tamper_size(struct file *f)
{
	size_t size = any(f->size), little = any(f->size < 20000 ? f->size : 20000);

	if (any(3))
		size = any(2) ? f->size - little : f->size + any(MAX_FILE - f->size);
	say("mutate: %s: size %zu\n", f->name, size);
	if (size > f->bad_size)
		memset(f->bad + f->bad_size, any(2) ? 0 : 0x55, size - f->bad_size);
	f->bad_size = size;
}

static void tamper_at(struct file *f, const struct place *place)
{
	uint8_t *p = f->bad + place->at;
	const struct field *field;

	say("mutate: %s: place %d at 0x%zx\n", f->name, place->what, place->at);
	switch (place->what) {
	case AT_HEADER:
		field = &fields[any(sizeof(fields) / sizeof(*fields))];
		if (field->at + field->bytes <= place->bytes)
			put(p + field->at, field->bytes,
			    any_number(f, get(p + field->at, field->bytes)));
		break;
	case AT_L2:
		if (place->bytes == 16 && any(2)) {
			put(p + 8, 8, any_number(f, get(p + 8, 8)));
			break;
		}
		put(p, 8, any_entry(f, get(p, 8)));
		break;
	case AT_L1:
	case AT_REFTABLE:
		put(p, 8, any_entry(f, get(p, 8)));
		break;
	case AT_BLOCK:
		tamper_block(p, place->bytes);
		break;
	case AT_SNAPSHOT:
	case AT_EXT:
	case AT_BITMAPS:
		if (any(2)) {
			size_t at = any(place->bytes / 4) * 4;

			put(p + at, 4, any_number(f, get(p + at, 4)));
			break;
		}
		tamper_bytes(p, place->bytes);
		break;
	default:
		tamper_bytes(p, place->bytes);
	}
}

static void tamper(struct file *f)
{
	unsigned int n = 1 + any(any(2) ? 2 : 10);

	find_places(f);
	while (n--) {
		switch (any(40)) {
		case 0:
		case 1:
			tamper_size(f);
			break;
		case 2:
		case 3:
			tamper_clusters(f);
			break;
		case 4:
			tamper_bytes(f->bad, f->bad_size);
			break;
		case 5:
		case 6:
			tamper_at(f, any_place(AT_HEADER));
			break;
		default:
			tamper_at(f, any_place(AT_EXT + any(AT_NR - AT_EXT)));
		}
		/* What has been cut off cannot be changed any more. */
		if (f->bad_size < f->size)
			break;
	}
}

/* ---- files ---- */

static void file_name(char *name, size_t size, unsigned int i)
{
	snprintf(name, size, "%s/%u.%u", dir, job, i);
}

static void write_file(const struct file *f, unsigned int i)
{
	char name[512];
	int fd;

	file_name(name, sizeof(name), i);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || pwrite(fd, f->bad, f->bad_size, 0) != (ssize_t)f->bad_size)
		die("cannot write %s: %s", name, strerror(errno));
	close(fd);
}

/* Is the file what was written, or @mark, that with another mark? */
static bool same_file(const struct file *f, unsigned int i, bool mark)
{
	char name[512];
	struct stat st;
	uint8_t *is;
	bool same;
	int fd;

	file_name(name, sizeof(name), i);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		die("cannot read %s: %s", name, strerror(errno));
	if ((size_t)st.st_size != f->bad_size) {
		close(fd);
		return false;
	}
	is = malloc(f->bad_size + 1);
	if (pread(fd, is, f->bad_size, 0) != (ssize_t)f->bad_size)
		die("cannot read %s: %s", name, strerror(errno));
	close(fd);
	if (mark && f->bad_size >= 80 && f->bad[7] == 3 && is[79] & 2)
		is[79] = (is[79] & ~2) | (f->bad[79] & 2);
	same = !memcmp(is, f->bad, f->bad_size);
	free(is);
	return same;
}

static uint64_t sum(const uint8_t *sector)
{
	uint64_t hash = 0xcbf29ce484222325, word;
	unsigned int i;

	for (i = 0; i < SECTOR; i += 8) {
		memcpy(&word, sector + i, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	return hash;
}

static int compare_sums(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The sectors that may be read: of the files, zeroes, and those written. */
static void know_sectors(const struct kind *k)
{
	static uint8_t sector[SECTOR];
	unsigned int i;
	size_t at;

	nr_sums = 0;
	memset(sector, 0, SECTOR);
	sums[nr_sums++] = sum(sector);
	memset(sector, 'W', SECTOR);
	sums[nr_sums++] = sum(sector);
	for (i = 0; i < k->nr; i++) {
		const struct file *f = &k->files[i];

		for (at = 0; at + SECTOR <= f->bad_size; at += SECTOR)
			sums[nr_sums++] = sum(f->bad + at);
		if (at == f->bad_size)
			continue;
		/* After the end of a file there are zeroes. */
		memset(sector, 0, SECTOR);
		memcpy(sector, f->bad + at, f->bad_size - at);
		sums[nr_sums++] = sum(sector);
	}
	qsort(sums, nr_sums, sizeof(*sums), compare_sums);
}

/* ---- the device ---- */

static struct qcow2_ctl_head head(size_t size, uint32_t flags)
{
	memset(text, 0, sizeof(text));
	return (struct qcow2_ctl_head){
		.size = size,
		.flags = flags,
		.err_buf = (uintptr_t)text,
		.err_len = sizeof(text),
	};
}

/* A refusal: an errno that a bad image deserves, and a line of words. */
static void check_refusal(void)
{
	size_t len = strnlen(text, sizeof(text)), i;

	if (errno != EINVAL && errno != EFBIG && errno != EOPNOTSUPP &&
	    errno != EUCLEAN && errno != EIO)
		die("refused with: %s (%s)", strerror(errno), text);
	if (len < 5 || len == sizeof(text))
		die("refused without words: %s", strerror(errno));
	for (i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			die("refused with byte 0x%02x", text[i]);
	}
}

static int open_file(unsigned int i, int flags)
{
	char name[512];
	int fd;

	file_name(name, sizeof(name), i);
	fd = open(name, flags | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", name, strerror(errno));
	return fd;
}

/* The number of the device, or -1 if it has been refused. */
static int attach(const struct kind *k, bool readonly)
{
	struct qcow2_ctl_layer layers[MAX_FILES];
	struct qcow2_ctl_attach arg = {
		.head = head(sizeof(arg), readonly ? QCOW2_ATTACH_F_READONLY : 0),
		.index = -1,
		.layers = (uintptr_t)layers,
	};
	unsigned int i;
	int ret, error;

	doing = "attach";
	for (i = 0; i < k->nr; i++) {
		int fd = open_file(i, ((i && k->files[i].role != 'd') || readonly ?
				       O_RDONLY : O_RDWR) | O_DIRECT);

		if (k->files[i].role == 'd') {
			layers[arg.nr_layers - 1].data_fd = fd;
			continue;
		}
		layers[arg.nr_layers++] = (struct qcow2_ctl_layer){
			.fd = fd,
			.format = k->files[i].role == 'r' ? QCOW2_FORMAT_RAW :
							    QCOW2_FORMAT_QCOW2,
			.data_fd = -1,
		};
	}
	ret = ioctl(control, QCOW2_CTL_ATTACH, &arg);
	error = errno;
	for (i = 0; i < arg.nr_layers; i++) {
		close(layers[i].fd);
		if (layers[i].data_fd >= 0)
			close(layers[i].data_fd);
	}
	if (!ret)
		return arg.index;
	errno = error;
	check_refusal();
	return -1;
}

static void detach(int index)
{
	struct qcow2_ctl_detach arg = { .index = index };
	unsigned int tries;

	doing = "detach";
	for (tries = 0; tries < 200; tries++) {
		arg.head = head(sizeof(arg), 0);
		if (!ioctl(control, QCOW2_CTL_DETACH, &arg))
			return;
		/* Somebody may be looking for partitions. */
		if (errno != EBUSY)
			break;
		usleep(10000);
	}
	if (errno == EBUSY)
		die("%s", text);
	check_refusal();
	arg.head = head(sizeof(arg), QCOW2_DETACH_F_FORCE);
	if (ioctl(control, QCOW2_CTL_DETACH, &arg))
		die("by force: %s (%s)", strerror(errno), text);
}

static void info(int index, struct qcow2_ctl_info *arg)
{
	doing = "info";
	*arg = (struct qcow2_ctl_info){
		.head = head(sizeof(*arg), 0),
		.index = index,
	};
	if (ioctl(control, QCOW2_CTL_INFO, arg))
		die("%s (%s)", strerror(errno), text);
}

/* A window in which nothing happens. False if the device stays frozen. */
static bool window(int index)
{
	struct qcow2_ctl_freeze arg = { .index = index };
	struct qcow2_ctl_thaw thaw = { .index = index };

	doing = "freeze";
	arg.head = head(sizeof(arg), QCOW2_FREEZE_F_NO_FS);
	if (ioctl(control, QCOW2_CTL_FREEZE, &arg)) {
		/* A device that has failed has no windows. */
		if (errno != EBUSY)
			check_refusal();
		return true;
	}
	doing = "thaw";
	thaw.head = head(sizeof(thaw), 0);
	if (!ioctl(control, QCOW2_CTL_THAW, &thaw))
		return true;
	check_refusal();
	return false;
}

/* ---- I/O ---- */

/* Errors that are allowed; a read-only disk is one that failed meanwhile. */
static void check_error(bool write)
{
	shared->job[job].errors++;
	say("mutate: %s: %s\n", doing, strerror(errno));
	if (errno == EIO)
		return;
	if (write && (errno == ENOSPC || errno == EPERM || errno == EROFS ||
		      errno == EOPNOTSUPP))
		return;
	die("%s", strerror(errno));
}

struct device {
	const struct kind *kind;
	int index;
	int fd;
	uint64_t size;
	uint32_t block;
};

/* Is it in a file now? Tables have been written meanwhile, perhaps. */
static bool in_files(const struct kind *k, const uint8_t *sector)
{
	uint8_t is[SECTOR];
	unsigned int i;
	bool found = false;

	for (i = 0; i < k->nr && !found; i++) {
		int fd = open_file(i, O_RDONLY);
		off_t at;

		for (at = 0; !found && pread(fd, is, SECTOR, at) == SECTOR;
		     at += SECTOR)
			found = !memcmp(is, sector, SECTOR);
		close(fd);
	}
	return found;
}

/*
 * Streams that are tampered with decompress to anything, so sectors are known
 * only if nothing has been decompressed.
 */
static void check_known(const struct device *dev, const uint8_t *sector,
			uint64_t offset)
{
	struct qcow2_ctl_info is;
	uint64_t hash = sum(sector);

	if (bsearch(&hash, sums, nr_sums, sizeof(hash), compare_sums))
		return;
	info(dev->index, &is);
	doing = "read";
	if (!is.nr_inflated && !in_files(dev->kind, sector))
		die("at 0x%llx what no layer has: %02x %02x %02x %02x",
		    (unsigned long long)offset, sector[0], sector[1], sector[2],
		    sector[3]);
}

static void check_sectors(const struct device *dev, size_t bytes, uint64_t offset)
{
	size_t at, i;

	for (at = 0; at < bytes; at += SECTOR) {
		uint64_t word;

		for (i = 0; i < SECTOR; i += 8) {
			memcpy(&word, buffer + at + i, 8);
			if (word == CANARY)
				die("canary at 0x%llx",
				    (unsigned long long)offset + at + i);
		}
		check_known(dev, buffer + at, offset + at);
	}
}

static void read_at(struct device *dev, uint64_t offset, size_t bytes)
{
	ssize_t n;

	doing = "read";
	memset(buffer, 0xee, bytes);
	n = pread(dev->fd, buffer, bytes, offset);
	if (n < 0)
		check_error(false);
	else
		check_sectors(dev, n, offset);
}

static uint64_t any_at(const struct device *dev, size_t bytes)
{
	uint64_t end = dev->size > bytes ? dev->size - bytes : 0;

	if (end > HEAD_BYTES && any(4))
		end = HEAD_BYTES;
	return any(end + 1) / dev->block * dev->block;
}

static void read_all(struct device *dev)
{
	uint64_t at, end = dev->size < 2 * HEAD_BYTES ? dev->size : HEAD_BYTES;
	unsigned int i;

	for (at = 0; at < end; at += IO_BYTES)
		read_at(dev, at, end - at < IO_BYTES ? end - at : IO_BYTES);
	for (i = 0; end < dev->size && i < 8; i++)
		read_at(dev, any_at(dev, 4096), 4096);
	if (dev->size >= IO_BYTES)
		read_at(dev, (dev->size - IO_BYTES) / dev->block * dev->block,
			IO_BYTES);
}

static void change(struct device *dev)
{
	size_t bytes = (1 + any(any(2) ? 8 : 128)) * SECTOR;
	uint64_t range[2];

	bytes = (bytes + dev->block - 1) / dev->block * dev->block;
	if (bytes > dev->size)
		return;
	range[0] = any_at(dev, bytes);
	range[1] = bytes;
	switch (any(8)) {
	case 0:
		doing = "flush";
		if (fdatasync(dev->fd))
			check_error(true);
		break;
	case 1:
		doing = "zero";
		if (ioctl(dev->fd, BLKZEROOUT, range))
			check_error(true);
		break;
	case 2:
	case 3:
		doing = "discard";
		/* Clusters, not sectors, are what can be discarded. */
		range[0] &= -65536ull;
		range[1] = dev->size - range[0] < 1 << 20 ?
			   dev->size - range[0] : 1 << 20;
		if (ioctl(dev->fd, BLKDISCARD, range))
			check_error(true);
		break;
	case 4:
		read_at(dev, range[0], bytes);
		break;
	default:
		doing = "write";
		memset(buffer, 'W', bytes);
		if (pwrite(dev->fd, buffer, bytes, range[0]) < 0)
			check_error(true);
	}
}

static void open_device(struct device *dev, bool readonly)
{
	struct qcow2_ctl_info is;
	char name[32];

	info(dev->index, &is);
	dev->size = is.size_bytes;
	dev->block = is.logical_block_size;
	doing = "open";
	snprintf(name, sizeof(name), "/dev/qcow2%d", dev->index);
	dev->fd = open(name, (readonly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	if (dev->fd < 0)
		die("%s: %s", name, strerror(errno));
}

static void use(struct device *dev, bool readonly, bool change_it)
{
	unsigned int n = change_it ? 10 + any(20) : 0;
	bool frozen = false;

	open_device(dev, readonly);
	read_all(dev);
	while (n--)
		change(dev);
	if (any(4) == 0)
		frozen = !window(dev->index);
	if (!frozen)
		read_all(dev);
	close(dev->fd);
}

static uint64_t *fill_canary(size_t bytes)
{
	uint64_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	size_t i;

	if (p == MAP_FAILED)
		die("no memory: %s", strerror(errno));
	for (i = 0; i < bytes / 8; i++)
		p[i] = CANARY;
	return p;
}

static void one_image(void)
{
	struct kind *k;
	struct device dev = {};
	bool readonly, change_it;
	unsigned int i;

	rng = (seed + 1) * 0x9e3779b97f4a7c15ull ^ (image + 1) * 0xd1342543de82ef95ull;
	for (i = 0; i < 8; i++)
		any(1);
	k = &kinds[any(nr_kinds)];
	doing = "make";
	for (i = 0; i < k->nr; i++) {
		struct file *f = &k->files[i];

		memcpy(f->bad, f->data, f->size);
		f->bad_size = f->size;
		if (f->role == 'a' || (f->role == 'b' && !any(4)))
			tamper(f);
		write_file(f, i);
	}
	readonly = !any(4);
	change_it = !readonly && any(8);
	say("mutate: %s: %s\n", k->files[0].name,
	    readonly ? "read-only" : change_it ? "changed" : "read");
	/* The pages that are free now are those that are used next. */
	munmap(fill_canary(PAGES_BYTES), PAGES_BYTES);
	dev.index = attach(k, readonly);
	if (dev.index < 0) {
		shared->job[job].refused++;
	} else {
		dev.kind = k;
		know_sectors(k);
		use(&dev, readonly, change_it);
		detach(dev.index);
	}
	doing = "compare";
	for (i = 0; i < k->nr; i++) {
		if ((k->files[i].role == 'd' || !i) && change_it && dev.index >= 0)
			continue;
		if (!same_file(&k->files[i], i, !i && !readonly))
			die("%s has changed", k->files[i].name);
	}
}

/* ---- all of it ---- */

static void load_file(struct file *f)
{
	struct stat st;
	int fd = open(f->name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) || st.st_size > MAX_FILE) {
		printf("mutate: %s: cannot be used\n", f->name);
		exit(2);
	}
	f->size = st.st_size;
	f->data = malloc(f->size + 1);
	f->bad = malloc(MAX_FILE);
	if (read(fd, f->data, f->size) != (ssize_t)f->size) {
		printf("mutate: %s: cannot be read\n", f->name);
		exit(2);
	}
	close(fd);
}

/* A kind: the active layer, then ,b=FILE ,r=FILE ,d=FILE. */
static void load_kind(char *word)
{
	struct kind *k = &kinds[nr_kinds++];
	char *part;

	for (part = strtok(word, ","); part; part = strtok(NULL, ",")) {
		struct file *f = &k->files[k->nr];

		if (k->nr++ == MAX_FILES)
			exit(2);
		f->role = k->nr == 1 ? 'a' : part[0];
		f->name = k->nr == 1 ? part : part + 2;
		load_file(f);
	}
}

static void run_job(void)
{
	control = open("/dev/qcow2-control", O_RDWR | O_CLOEXEC);
	sums = malloc((MAX_FILES * MAX_FILE / SECTOR + 16) * sizeof(*sums));
	if (control < 0 || posix_memalign((void **)&buffer, 4096, 1 << 20))
		die("/dev/qcow2-control: %s", strerror(errno));
	for (image = first + job; image < first + nr_images; image += jobs) {
		shared->job[job].since = time(NULL);
		shared->job[job].image = image;
		one_image();
	}
	shared->job[job].since = 0;
	_exit(0);
}

static unsigned long meminfo(const char *name)
{
	char line[128];
	unsigned long kb = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)))
			kb = strtoul(line + strlen(name) + 1, NULL, 10);
	}
	if (file)
		fclose(file);
	return kb / 1024;
}

static unsigned long free_memory(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd < 0 || write(fd, "3", 1) != 1)
		printf("mutate: cannot drop caches\n");
	close(fd);
	sleep(1);
	return meminfo("MemAvailable");
}

/* Whoever forgets to fill a page or a block shows what was there before. */
static void spread_canary(size_t bytes)
{
	uint64_t *p = fill_canary(bytes);
	char name[512];
	int fd;

	snprintf(name, sizeof(name), "%s/canary", dir);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, p, bytes) < 0 || fsync(fd))
		printf("mutate: %s: %s\n", name, strerror(errno));
	close(fd);
	unlink(name);
	munmap(p, bytes);
}

/* Wait for the jobs: 0 if all has gone well. */
static int watch(const pid_t *pids)
{
	unsigned int left = jobs, i;
	unsigned long before = meminfo("MemAvailable"), least = before, now;
	int status, bad = 0;

	while (left && !bad) {
		for (i = 0; i < jobs; i++) {
			time_t since = shared->job[i].since;

			if (waitpid(pids[i], &status, WNOHANG) == pids[i]) {
				left--;
				bad |= status;
			} else if (since && time(NULL) - since > limit) {
				image = shared->job[i].image;
				printf("mutate: image %lu of seed %llu hangs\n"
				       "mutate: repeat with --seed %llu --first %lu --nr 1\n",
				       image, (unsigned long long)seed,
				       (unsigned long long)seed, image);
				bad = 1;
			}
		}
		now = meminfo("MemAvailable");
		if (now < least)
			least = now;
		usleep(100000);
	}
	for (i = 0; i < jobs && bad; i++)
		kill(pids[i], SIGKILL);
	printf("mutate: %lu MiB of %lu were in use at most\n", before - least, before);
	if (before - least > 768) {
		printf("mutate: that is too much\n");
		bad = 1;
	}
	return bad;
}

static int run_jobs(void)
{
	unsigned long before, after, refused = 0, errors = 0;
	pid_t pids[MAX_JOBS];
	unsigned int i;
	int bad;

	before = free_memory();
	for (job = 0; job < jobs; job++) {
		pids[job] = fork();
		if (!pids[job])
			run_job();
	}
	bad = watch(pids);
	for (i = 0; i < jobs; i++) {
		refused += shared->job[i].refused;
		errors += shared->job[i].errors;
	}
	printf("mutate: %lu images of seed %llu, %lu refused, %lu I/O errors\n",
	       nr_images, (unsigned long long)seed, refused, errors);
	if (bad)
		return 1;
	after = free_memory();
	printf("mutate: %lu MiB available before, %lu after\n", before, after);
	/* The checkers of a debug kernel keep some of what is freed. */
	if (after + 64 + meminfo("MemTotal") / 16 < before) {
		printf("mutate: memory is lost\n");
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "seed", required_argument, NULL, 's' },
		{ "first", required_argument, NULL, 'f' },
		{ "nr", required_argument, NULL, 'n' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "limit", required_argument, NULL, 'l' },
		{ "canary", required_argument, NULL, 'c' },
		{ }
	};
	unsigned long canary = 64;
	int c;

	setlinebuf(stdout);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd': dir = optarg; break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'f': first = strtoul(optarg, NULL, 0); break;
		case 'n': nr_images = strtoul(optarg, NULL, 0); break;
		case 'j': jobs = strtoul(optarg, NULL, 0); break;
		case 'l': limit = strtoul(optarg, NULL, 0); break;
		case 'c': canary = strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	}
	if (optind == argc || argc - optind > MAX_KINDS || !jobs || jobs > MAX_JOBS)
		return 2;
	for (; optind < argc; optind++)
		load_kind(argv[optind]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	spread_canary(canary << 20);
	return run_jobs();
}
