// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device must contain after a given series of operations, and how to
 * tell from what it does contain where that came from.
 *
 * All that a direct write puts into a sector follows from the seed, the number
 * of the operation, and the sector, so a sector that turns up somewhere else,
 * or late, or only in part, can be told from all others, and nothing of what
 * was written has to be kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "diff_model.h"

#define SECTOR_WORDS	(SECTOR / sizeof(uint64_t))
#define HISTORY		16
#define SAVE_UNIT	65536u
#define CONTENT_UNIT	65536u
#define LOG_MAGIC	0x31474f4c46464944ull	/* "DIFFLOG1" */

struct log_header {
	uint64_t magic;
	uint64_t base;
	uint64_t size;
	uint32_t seed;
	uint32_t nr_ops;
};

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	fputs("diff_io: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

const char *op_name(unsigned int kind)
{
	static const char * const names[OP_KINDS] = {
		[OP_READ]	= "read",
		[OP_WRITE]	= "write",
		[OP_WRITE_DSYNC] = "write dsync",
		[OP_FLUSH]	= "flush",
		[OP_ZEROOUT]	= "BLKZEROOUT",
		[OP_ZERO_RANGE]	= "zero range",
		[OP_PUNCH]	= "punch hole",
		[OP_DISCARD]	= "discard",
		[OP_BUF_READ]	= "buffered read",
		[OP_BUF_WRITE]	= "buffered write",
		[OP_CLONE]	= "clone",
	};

	return names[kind];
}

bool op_is_zero(unsigned int kind)
{
	return kind == OP_ZEROOUT || kind == OP_ZERO_RANGE ||
	       kind == OP_PUNCH || kind == OP_DISCARD;
}

bool op_is_write(unsigned int kind)
{
	return op_is_zero(kind) || kind == OP_WRITE ||
	       kind == OP_WRITE_DSYNC || kind == OP_BUF_WRITE;
}

bool op_is_buffered(unsigned int kind)
{
	return kind == OP_BUF_READ || kind == OP_BUF_WRITE;
}

/*
 * libc's memcmp() and memcpy() choose string and vector instructions, which
 * are what an emulator is slowest at.
 */
bool same(const void *a, const void *b, size_t len)
{
	const uint64_t *x = a, *y = b;

	if (((uintptr_t)a | (uintptr_t)b | len) % 32)
		return !memcmp(a, b, len);
	for (; len; len -= 32, x += 4, y += 4)
		if ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]))
			return false;
	return true;
}

void copy(void *to, const void *from, size_t len)
{
	const uint64_t *x = from;
	uint64_t *y = to;

	if (((uintptr_t)to | (uintptr_t)from | len) % 32) {
		memcpy(to, from, len);
		return;
	}
	for (; len; len -= 32, x += 4, y += 4) {
		y[0] = x[0];
		y[1] = x[1];
		y[2] = x[2];
		y[3] = x[3];
	}
}

static bool all_zero(const uint64_t *words, size_t bytes)
{
	for (; bytes; bytes -= 32, words += 4)
		if (words[0] | words[1] | words[2] | words[3])
			return false;
	return true;
}

static uint64_t scramble(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* Two words for people, the others so that no two sectors have one in common. */
static void pattern(uint64_t *words, uint32_t seed, uint32_t op, uint64_t sector)
{
	uint64_t id = (uint64_t)seed << 32 | op;
	uint64_t value = scramble(id + scramble(sector));
	unsigned int i;

	words[0] = sector;
	words[1] = id;
	for (i = 2; i < SECTOR_WORDS; i += 2) {
		words[i] = value;
		words[i + 1] = ~value;
		value += 0x9e3779b97f4a7c15ull;
	}
}

/* Does @words hold what our operation @op wrote to @sector? */
static bool is_pattern(const uint64_t *words, uint32_t seed, uint32_t op,
		       uint64_t sector)
{
	uint64_t want[SECTOR_WORDS];

	pattern(want, seed, op, sector);
	return same(words, want, SECTOR);
}

static void *map_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("no memory for %zu bytes", bytes);
	return p;
}

void model_alloc(struct model *m)
{
	m->data = map_memory(m->size);
	m->unsure = map_memory(m->size / SECTOR);
	if (!m->ops) {
		m->ops = calloc(m->max_ops, sizeof(*m->ops));
		if (!m->ops)
			die("no memory for %u operations", m->max_ops);
	}
}

static void read_whole(int fd, const char *file, void *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = read(fd, buf, len);
		if (n < 0)
			die("%s: %s", file, strerror(errno));
		if (!n)
			break;
		buf = (char *)buf + n;
		len -= n;
	}
}

static void write_whole(int fd, const char *file, const void *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, buf, len);
		if (n <= 0)
			die("%s: %s", file, strerror(errno));
		buf = (const char *)buf + n;
		len -= n;
	}
}

static int open_or_die(const char *file, int flags)
{
	int fd = open(file, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		die("%s: %s", file, strerror(errno));
	return fd;
}

/* Read the region's content from a file that holds all of the device's. */
static void load_region(const struct model *m, const char *file, uint8_t *to)
{
	int fd = open_or_die(file, O_RDONLY);
	off_t pos, end;

	/* Only what is there: most of an image's space is holes. */
	for (pos = m->base; pos < (off_t)(m->base + m->size); pos = end) {
		pos = lseek(fd, pos, SEEK_DATA);
		if (pos < 0 || pos >= (off_t)(m->base + m->size))
			break;
		end = lseek(fd, pos, SEEK_HOLE);
		end = MIN(end, (off_t)(m->base + m->size));
		if (lseek(fd, pos, SEEK_SET) != pos)
			die("%s: %s", file, strerror(errno));
		read_whole(fd, file, to + (pos - m->base), end - pos);
	}
	close(fd);
}

void model_load(struct model *m, const char *file)
{
	/* Zeroes again, without touching what was never touched. */
	if (madvise(m->data, m->size, MADV_DONTNEED))
		die("madvise: %s", strerror(errno));
	load_region(m, file, m->data);
}

/* Only the region is written, at its place. */
void model_save(const struct model *m, const char *file)
{
	int fd = open_or_die(file, O_RDWR | O_CREAT | O_TRUNC);
	uint64_t pos, n;

	if (ftruncate(fd, m->base + m->size))
		die("%s: %s", file, strerror(errno));
	for (pos = 0; pos < m->size; pos += n) {
		n = MIN(m->size - pos, (uint64_t)SAVE_UNIT);
		if (n == SAVE_UNIT && all_zero((uint64_t *)(m->data + pos), n))
			continue;
		if (lseek(fd, m->base + pos, SEEK_SET) < 0)
			die("%s: %s", file, strerror(errno));
		write_whole(fd, file, m->data + pos, n);
	}
	if (close(fd))
		die("%s: %s", file, strerror(errno));
}

struct op *model_add(struct model *m, unsigned int kind, uint64_t off,
		     uint32_t len)
{
	struct op *op;

	if (m->nr_ops == m->max_ops)
		die("too many operations");
	op = &m->ops[m->nr_ops++];
	op->kind = kind;
	op->off = off;
	op->len = len;
	return op;
}

/* Let the model become what operation @nr makes of it. */
void model_apply(struct model *m, uint32_t nr)
{
	const struct op *op = &m->ops[nr];
	uint64_t words[SECTOR_WORDS];
	uint64_t pos = op->off, end = op->off + op->len;

	if (op_is_zero(op->kind)) {
		memset(m->data + pos, 0, op->len);
		return;
	}
	while (pos < end) {
		uint64_t sector = (m->base + pos) / SECTOR;
		uint32_t in_sector = (m->base + pos) % SECTOR;
		uint32_t n = MIN(end - pos, (uint64_t)(SECTOR - in_sector));

		if (n == SECTOR) {
			pattern((uint64_t *)(m->data + pos), m->seed, nr, sector);
		} else {
			pattern(words, m->seed, nr, sector);
			memcpy(m->data + pos, (char *)words + in_sector, n);
		}
		pos += n;
	}
}

/* An operation has failed, or one that has not makes it certain again. */
void model_unsure(struct model *m, const struct op *op, bool unsure)
{
	uint64_t first = op->off / SECTOR;
	uint64_t end = (op->off + op->len + SECTOR - 1) / SECTOR;

	if (op_is_write(op->kind))
		memset(m->unsure + first, unsure, end - first);
}

/* Is @found, @len bytes at @off, what the model has, where it knows that? */
bool model_agrees(struct model *m, uint64_t off, const uint8_t *found,
		  size_t len)
{
	size_t i, step;

	if (same(found, m->data + off, len))
		return true;
	for (i = 0; i < len; i += step) {
		step = MIN(len - i, SECTOR - (off + i) % SECTOR);
		if (!m->unsure[(off + i) / SECTOR] &&
		    memcmp(found + i, m->data + off + i, step))
			return false;
	}
	return true;
}

/*
 * Take what is found where the model does not know. It must be zeroes or something
 * that was written to this very sector.
 */
bool model_adopt(struct model *m, uint64_t off, const uint8_t *found, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += SECTOR) {
		const uint64_t *words = (const uint64_t *)(found + i);
		uint64_t sector = (m->base + off + i) / SECTOR;

		if (!m->unsure[(off + i) / SECTOR])
			continue;
		if (!all_zero(words, SECTOR) &&
		    !(words[0] == sector &&
		      is_pattern(words, words[1] >> 32, words[1], sector)))
			return false;
		memcpy(m->data + off + i, found + i, SECTOR);
		m->unsure[(off + i) / SECTOR] = false;
	}
	return true;
}

static void describe(const struct model *m, const char *what, const uint8_t *p)
{
	uint64_t words[SECTOR_WORDS];
	unsigned int i;

	memcpy(words, p, SECTOR);
	printf("  %s: ", what);
	if (all_zero(words, SECTOR)) {
		printf("zeroes\n");
		return;
	}
	if (is_pattern(words, words[1] >> 32, words[1], words[0])) {
		printf("what operation %u of seed %u wrote to sector %" PRIu64 "%s\n",
		       (uint32_t)words[1], (uint32_t)(words[1] >> 32), words[0],
		       words[1] >> 32 == m->seed ? "" : " (another run)");
		return;
	}
	printf("mixed or foreign:");
	for (i = 0; i < 32; i++)
		printf("%s%02x", i % 8 ? "" : " ", p[i]);
	printf("...\n");
}

static void print_history(const struct model *m, uint64_t off, uint32_t len)
{
	uint32_t found[HISTORY], n = 0, i;

	for (i = m->nr_ops; i-- && n < HISTORY;)
		if (m->ops[i].off < off + len &&
		    off < m->ops[i].off + m->ops[i].len)
			found[n++] = i;
	printf("  operations on it, oldest first%s:\n",
	       n == HISTORY ? " (only the last ones)" : "");
	while (n--) {
		const struct op *op = &m->ops[found[n]];

		printf("    %6u %-14s offset 0x%" PRIx64 " length 0x%x, ",
		       found[n], op_name(op->kind), m->base + op->off, op->len);
		if (op->ended)
			printf("time %u to %u\n", op->issued, op->ended);
		else if (op->issued)
			printf("time %u, in flight\n", op->issued);
		else
			printf("not issued yet\n");
	}
}

/*
 * Say all that may help about the first difference between the model and
 * @found, @len bytes at @off. Offsets are printed as the device has them.
 */
void model_mismatch(const struct model *m, const char *what, uint64_t off,
		    const uint8_t *found, size_t len)
{
	uint64_t at, sectors = 0, first = 0;
	size_t i, step;

	for (i = 0; i < len; i += step) {
		step = MIN(len - i, SECTOR - (off + i) % SECTOR);
		if (!memcmp(found + i, m->data + off + i, step))
			continue;
		if (!sectors++)
			first = i;
	}
	at = m->base + off + first;
	printf("MISMATCH in %s, offset 0x%" PRIx64 " length 0x%zx, seed %u\n",
	       what, m->base + off, len, m->seed);
	printf("  %" PRIu64 " sectors differ, the first one at 0x%" PRIx64
	       ": sector %" PRIu64 ", cluster %" PRIu64 " + 0x%" PRIx64 "\n",
	       sectors, at, at / SECTOR, at / m->cluster, at % m->cluster);
	if (at % SECTOR == 0 && first + SECTOR <= len) {
		describe(m, "expected", m->data + off + first);
		describe(m, "found   ", found + first);
	}
	print_history(m, off + first, 1);
	fflush(stdout);
}

/*
 * Something for an image to contain: of each four pieces one is a hole, one
 * is mostly the same, one has a few sectors with something in them.
 */
void make_content(const char *file, uint64_t size, uint32_t seed)
{
	uint64_t words[CONTENT_UNIT / sizeof(uint64_t)], pos, n, s, word;
	int fd = open_or_die(file, O_RDWR | O_CREAT | O_TRUNC);

	if (ftruncate(fd, size))
		die("%s: %s", file, strerror(errno));
	for (pos = 0; pos < size; pos += n) {
		uint64_t kind = scramble(pos + seed) % 4;

		n = MIN(size - pos, (uint64_t)CONTENT_UNIT);
		if (!kind)
			continue;
		memset(words, 0, sizeof(words));
		for (s = 0; s < CONTENT_UNIT / SECTOR; s++) {
			word = s * SECTOR_WORDS;
			if (kind == 1 || (kind == 2 && s % 24 == pos / CONTENT_UNIT % 24))
				words[word] = words[word + 63] = pos + s * SECTOR;
			else if (kind == 3)
				pattern(words + word, ~seed, 0, pos / SECTOR + s);
		}
		if (lseek(fd, pos, SEEK_SET) < 0)
			die("%s: %s", file, strerror(errno));
		write_whole(fd, file, words, n);
	}
	if (close(fd))
		die("%s: %s", file, strerror(errno));
}

void log_save(const struct model *m, const char *file)
{
	int fd = open_or_die(file, O_WRONLY | O_CREAT | O_TRUNC);
	struct log_header h = {
		.magic = LOG_MAGIC,
		.base = m->base,
		.size = m->size,
		.seed = m->seed,
		.nr_ops = m->nr_ops,
	};

	write_whole(fd, file, &h, sizeof(h));
	write_whole(fd, file, m->ops, m->nr_ops * sizeof(*m->ops));
	close(fd);
}

void log_load(struct model *m, const char *file)
{
	int fd = open_or_die(file, O_RDONLY);
	struct log_header h;

	read_whole(fd, file, &h, sizeof(h));
	if (h.magic != LOG_MAGIC)
		die("%s: not a log", file);
	m->base = h.base;
	m->size = h.size;
	m->seed = h.seed;
	m->nr_ops = h.nr_ops;
	m->max_ops = h.nr_ops;
	model_alloc(m);
	read_whole(fd, file, m->ops, h.nr_ops * sizeof(*m->ops));
	close(fd);
}

/**
 * struct check - what may be found in a copy of the image
 * @m: content before the first operation, and the operations
 * @clone: operation that made the copy
 * @since: time at which it began to be made
 * @until: time at which it was made
 * @durable: per sector, 1 + the last operation that must be in the copy, or 0
 *	if only the initial content must be
 * @zeroed: per sector, 1 + the last operation that zeroed it and may be there
 */
struct check {
	struct model *m;
	uint32_t clone;
	uint32_t since;
	uint32_t until;
	uint32_t *durable;
	uint32_t *zeroed;
};

/*
 * Writes that had ended when a flush was issued that had ended before the
 * copy was made.
 */
static uint32_t flushed_before(const struct check *c)
{
	uint32_t i, time = 0;

	for (i = 0; i < c->m->nr_ops; i++) {
		const struct op *op = &c->m->ops[i];

		if (op->kind == OP_FLUSH && op->ended && op->ended < c->since)
			time = MAX(time, op->issued);
	}
	return time;
}

static void note_op(struct check *c, uint32_t nr, bool durable)
{
	const struct op *op = &c->m->ops[nr];
	uint64_t s;

	for (s = op->off / SECTOR; s < (op->off + op->len) / SECTOR; s++) {
		if (durable)
			c->durable[s] = nr + 1;
		if (op_is_zero(op->kind))
			c->zeroed[s] = nr + 1;
	}
}

static bool is_ours(const struct check *c, const uint64_t *words, uint64_t s)
{
	const struct op *ops = c->m->ops;
	uint32_t nr = words[1];

	return words[1] >> 32 == c->m->seed && nr < c->m->nr_ops &&
	       ops[nr].issued < c->until &&
	       (ops[nr].kind == OP_WRITE || ops[nr].kind == OP_WRITE_DSYNC) &&
	       ops[nr].off / SECTOR <= s &&
	       s < (ops[nr].off + ops[nr].len) / SECTOR &&
	       nr + 1 >= c->durable[s] &&
	       is_pattern(words, c->m->seed, nr, c->m->base / SECTOR + s);
}

static bool may_be(const struct check *c, const uint8_t *p, uint64_t s)
{
	const uint64_t *words = (const uint64_t *)p;

	if (!c->durable[s] && same(p, c->m->data + s * SECTOR, SECTOR))
		return true;
	if (all_zero(words, SECTOR))
		return c->zeroed[s] && c->zeroed[s] >= c->durable[s];
	return is_ours(c, words, s);
}

static void print_wrong(const struct check *c, const uint8_t *p, uint64_t s)
{
	uint64_t at = c->m->base + s * SECTOR;

	printf("WRONG in copy made by operation %u, seed %u, offset 0x%" PRIx64
	       ": sector %" PRIu64 ", cluster %" PRIu64 " + 0x%" PRIx64 "\n",
	       c->clone, c->m->seed, at, at / SECTOR, at / c->m->cluster,
	       at % c->m->cluster);
	if (c->durable[s])
		printf("  operation %u or a later one must be there\n",
		       c->durable[s] - 1);
	describe(c->m, "found", p);
	print_history(c->m, s * SECTOR, 1);
}

/*
 * Is @file, which holds what a copy of the image shows, something that a power
 * cut at the time of the @clone'th copy may leave behind? What was flushed
 * must be there; what was not may be there or not, sector by sector; anything
 * else must not be. If there is an @until'th copy, too, the power cut was at some
 * time between the two. UINT_MAX for the copy is after all of the operations.
 *
 * Returns 0 if so, otherwise 1.
 */
int log_verify(struct model *m, const char *file, unsigned int clone,
	       unsigned int until)
{
	uint64_t s, nr_durable = 0, wrong = 0;
	struct check c = { .m = m };
	uint32_t i, flushed, nr = 0;
	uint8_t *found;

	for (i = 0; i < m->nr_ops && clone != UINT_MAX; i++) {
		if (m->ops[i].kind != OP_CLONE)
			continue;
		if (nr == clone) {
			c.clone = i;
			c.since = m->ops[i].issued;
		}
		if (nr == clone || nr == until)
			c.until = m->ops[i].ended;
		nr++;
	}
	/* Without a number: at the end. */
	if (clone == UINT_MAX) {
		c.clone = m->nr_ops;
		c.since = UINT_MAX;
		c.until = UINT_MAX;
	}
	if (!c.since)
		die("no such copy in the log");
	/* After the last one anything may have been done. */
	if (until != UINT_MAX && until >= nr)
		c.until = UINT_MAX;
	c.durable = map_memory(m->size / SECTOR * sizeof(*c.durable));
	c.zeroed = map_memory(m->size / SECTOR * sizeof(*c.zeroed));
	found = map_memory(m->size);
	load_region(m, file, found);
	flushed = flushed_before(&c);
	for (i = 0; i < m->nr_ops; i++) {
		const struct op *op = &m->ops[i];
		bool done = op->ended && op->ended < c.since;

		if (op_is_write(op->kind) && op->issued < c.until)
			note_op(&c, i, done && (op->ended < flushed ||
						op->kind == OP_WRITE_DSYNC));
	}
	for (s = 0; s < m->size / SECTOR; s++) {
		nr_durable += !!c.durable[s];
		if (may_be(&c, found + s * SECTOR, s))
			continue;
		if (!wrong++)
			print_wrong(&c, found + s * SECTOR, s);
	}
	printf("diff_io: copy after %u operations: %" PRIu64 " sectors flushed, %"
	       PRIu64 " wrong\n", c.clone, nr_durable, wrong);
	return wrong ? 1 : 0;
}
