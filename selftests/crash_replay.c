// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash_replay: what a disk may hold after a power cut at each of many moments,
 * by the log that dm-log-writes made of it.
 *
 * The log (Documentation/admin-guide/device-mapper/log-writes.rst) has writes in
 * the order in which they became durable: those that a flush covers right before
 * it. So at each flush the disk is what the log has up to there. Between two
 * flushes it may have, beyond that, any of the writes which the second one covers,
 * each of them whole, up to some sector, or not at all.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_MAGIC	0x6a736677736872ull
#define LOG_FLUSH	1u
#define LOG_FUA		2u
#define LOG_DISCARD	4u
#define LOG_MARK	8u
#define SECTOR		512u
/* No single write is larger: dm splits them. */
#define MAX_WRITE	(64u << 20)

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sector_size;
};

struct log_disk_entry {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len;
};

/**
 * struct entry - one line of the log
 * @pos: in bytes on the disk
 * @len: in bytes
 * @flags: LOG_*
 * @data: where it is in the log, in bytes
 * @mark: of those with a number, how many come before this entry
 * @hidden: inside a window, where it is not our writes that count
 */
struct entry {
	uint64_t pos;
	uint64_t len;
	uint32_t flags;
	uint64_t data;
	uint32_t mark;
	bool hidden;
};

struct undo {
	uint64_t pos;
	uint64_t len;
	uint8_t *old;
};

static const char *command;
static int log_fd, disk_fd;
static struct entry *entries;
static uint64_t nr_entries, nr_points;
static struct undo *undos;
static uint64_t nr_undos;
static uint64_t random_state;
static uint32_t nr_marks;
static uint64_t unit = SECTOR;

extern char **environ;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("crash_replay: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static uint64_t rnd(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull % below;
}

static void read_at(int fd, void *buf, uint64_t len, uint64_t pos)
{
	ssize_t n;

	for (; len; len -= n, pos += n, buf = (char *)buf + n) {
		n = pread(fd, buf, len, pos);
		if (n <= 0)
			die("read at %" PRIu64 ": %s", pos,
			    n ? strerror(errno) : "end of file");
	}
}

static void write_at(const void *buf, uint64_t len, uint64_t pos)
{
	if (pwrite(disk_fd, buf, len, pos) != (ssize_t)len)
		die("write at %" PRIu64 ": %s", pos, strerror(errno));
}

/* ---- The log ---- */

static void load_mark(struct entry *e, const char *text, bool *hidden)
{
	unsigned int number;

	if (sscanf(text, "c%u", &number) == 1)
		nr_marks = number + 1;
	else if (!strcmp(text, "window"))
		*hidden = true;
	else if (!strcmp(text, "live"))
		*hidden = false;
	else if (strcmp(text, "dm-log-writes-end"))
		die("unknown mark %s", text);
	e->mark = nr_marks;
}

static void load_log(void)
{
	uint8_t block[SECTOR + 1] = { 0 };
	struct log_disk_entry d;
	struct log_super super;
	uint64_t at = SECTOR, i;
	bool hidden = false;

	read_at(log_fd, &super, sizeof(super), 0);
	if (le64toh(super.magic) != LOG_MAGIC || le64toh(super.version) != 1 ||
	    le32toh(super.sector_size) != SECTOR)
		die("not a log with sectors of %u bytes", SECTOR);
	nr_entries = le64toh(super.nr_entries);
	entries = calloc(nr_entries + 1, sizeof(*entries));
	if (!entries)
		die("no memory");
	for (i = 0; i < nr_entries; i++) {
		struct entry *e = &entries[i];

		read_at(log_fd, block, SECTOR, at);
		memcpy(&d, block, sizeof(d));
		at += SECTOR;
		e->pos = le64toh(d.sector) * SECTOR;
		e->len = le64toh(d.nr_sectors) * SECTOR;
		e->flags = le64toh(d.flags);
		e->data = at;
		e->mark = nr_marks;
		e->hidden = hidden;
		if (e->flags & LOG_MARK) {
			load_mark(e, (char *)block + sizeof(d), &hidden);
			e->len = 0;
			continue;
		}
		if (e->len > MAX_WRITE)
			die("entry %" PRIu64 ": too long", i);
		if (!(e->flags & LOG_DISCARD))
			at += e->len;
	}
}

/* ---- The disk ---- */

/* A discard leaves what it likes: zeroes, as the disks here do. */
static void *entry_data(const struct entry *e, uint64_t len)
{
	uint8_t *buf = calloc(1, len);

	if (!buf)
		die("no memory");
	if (!(e->flags & LOG_DISCARD))
		read_at(log_fd, buf, len, e->data);
	return buf;
}

static void apply(const struct entry *e, uint64_t len)
{
	void *buf;

	if (!len)
		return;
	buf = entry_data(e, len);
	write_at(buf, len, e->pos);
	free(buf);
}

static void apply_for_now(const struct entry *e, uint64_t len)
{
	struct undo *u = &undos[nr_undos++];

	u->pos = e->pos;
	u->len = len;
	u->old = malloc(len);
	if (!u->old)
		die("no memory");
	read_at(disk_fd, u->old, len, e->pos);
	apply(e, len);
}

static void undo_all(void)
{
	while (nr_undos) {
		struct undo *u = &undos[--nr_undos];

		write_at(u->old, u->len, u->pos);
		free(u->old);
	}
}

/* ---- Moments ---- */

/* Is all well, says the command, if the power fails when entry @at has been done? */
static void check_point(uint64_t at, const char *kind)
{
	char *argv[] = { "bash", "-c", (char *)command, NULL }, text[48];
	int status;
	pid_t pid;

	snprintf(text, sizeof(text), "%u", entries[at].mark - 1);
	setenv("MARK", text, 1);
	snprintf(text, sizeof(text), "%u", entries[at].mark);
	setenv("UNTIL", text, 1);
	snprintf(text, sizeof(text), "%" PRIu64 "-%s", at, kind);
	setenv("POINT", text, 1);
	if (posix_spawn(&pid, "/bin/bash", NULL, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid)
		die("bash: %s", strerror(errno));
	nr_points++;
	if (status) {
		printf("crash_replay: moment %s, %" PRIu64
		       " entries in the log, is not as it must be\n", text,
		       nr_entries);
		exit(1);
	}
}

/*
 * Which of the writes that the next flush covers the power cut has let through:
 * all up to one, all but one, one alone, or half of them.
 */
static bool lucky(unsigned int way, uint64_t nr, uint64_t chosen)
{
	switch (way) {
	case 0:	return nr < chosen;
	case 1:	return nr != chosen;
	case 2:	return nr == chosen;
	default: return rnd(2);
	}
}

/* Some of them only in part. */
static void cut_between(uint64_t first, uint64_t flush, unsigned int draw)
{
	uint64_t i, len, chosen = rnd(flush - first);
	unsigned int way = rnd(4);
	char kind[16];

	snprintf(kind, sizeof(kind), "cut%u", draw);
	for (i = first; i < flush; i++) {
		len = entries[i].len;
		if (!len || !lucky(way, i - first, chosen))
			continue;
		if (!rnd(4))
			len = (len - rnd(len)) / unit * unit;
		if (!len)
			continue;
		apply_for_now(&entries[i], len);
	}
	check_point(flush - 1, kind);
	undo_all();
}

static bool is_barrier(uint64_t i)
{
	return entries[i].flags & (LOG_FLUSH | LOG_FUA);
}

/* A barrier that is looked at, with writes before it that may get lost. */
static bool may_cut(uint64_t i)
{
	return i && is_barrier(i) && entries[i - 1].len && entries[i].mark &&
	       !entries[i].hidden && !is_barrier(i - 1);
}

static bool may_look(uint64_t i)
{
	return is_barrier(i) && entries[i].mark && !entries[i].hidden;
}

/* How many of @all moments fall on this one of @of, so that they are evenly spread. */
static uint64_t due(uint64_t *sum, uint64_t all, uint64_t of)
{
	uint64_t before = *sum / of;

	*sum += all;
	return *sum / of - before;
}

static void replay(uint64_t flushes, uint64_t cuts)
{
	uint64_t nr_look = 0, nr_cut = 0, sum_look = 0, sum_cut = 0;
	uint64_t i, first = 0, draw, n;

	for (i = 0; i < nr_entries; i++) {
		nr_look += may_look(i);
		nr_cut += may_cut(i);
	}
	if (!nr_cut)
		die("no flush in the log");
	for (i = 0; i < nr_entries; i++) {
		if (!is_barrier(i))
			continue;
		n = may_cut(i) ? due(&sum_cut, cuts, nr_cut) : 0;
		for (draw = 0; draw < n; draw++)
			cut_between(first, i, draw);
		for (; first <= i; first++)
			apply(&entries[first], entries[first].len);
		if (may_look(i) &&
		    due(&sum_look, flushes < nr_look ? flushes : nr_look, nr_look))
			check_point(i, "flush");
	}
	printf("crash_replay: %" PRIu64 " entries, %u marks, %" PRIu64
	       " flushes, %" PRIu64 " moments looked at\n", nr_entries,
	       nr_marks, nr_look, nr_points);
}

static const char usage_text[] =
"usage: crash_replay --log LOG --disk FILE --run COMMAND [OPTION]...\n"
"\n"
"Turn FILE, what the disk was when the log began, into what it may be after a\n"
"power cut at one moment after the other, and run COMMAND for each, with MARK\n"
"(the last mark before it), UNTIL (the first one after it) and POINT (a name) in\n"
"its environment. Marks are c0, c1 and so on; nothing before c0, and nothing\n"
"between the marks window and live is looked at.\n"
"\n"
"  --flushes N   at flushes, that many (default: all)\n"
"  --cuts N      between them, with some writes lost (default 500)\n"
"  --unit N      bytes that are written whole or not at all (default 512)\n"
"  --seed N      what is chosen (default 1)\n"
"\n"
"Exit status: 0, 1 if COMMAND failed once, 2 if something else did.\n";

static void parse(int argc, char **argv, uint64_t *flushes, uint64_t *cuts)
{
	static const struct option options[] = {
		{ "log", required_argument, NULL, 'l' },
		{ "disk", required_argument, NULL, 'd' },
		{ "run", required_argument, NULL, 'r' },
		{ "flushes", required_argument, NULL, 'f' },
		{ "cuts", required_argument, NULL, 'c' },
		{ "unit", required_argument, NULL, 'u' },
		{ "seed", required_argument, NULL, 's' },
		{ }
	};
	int c;

	log_fd = disk_fd = -1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'l': log_fd = open(optarg, O_RDONLY | O_CLOEXEC); break;
		case 'd': disk_fd = open(optarg, O_RDWR | O_CLOEXEC); break;
		case 'r': command = optarg; break;
		case 'f': *flushes = strtoull(optarg, NULL, 0); break;
		case 'c': *cuts = strtoull(optarg, NULL, 0); break;
		case 'u': unit = strtoull(optarg, NULL, 0); break;
		case 's': random_state = strtoull(optarg, NULL, 0); break;
		default: die("%s", usage_text);
		}
	}
	if (log_fd < 0 || disk_fd < 0 || !command || optind < argc ||
	    !unit || unit % SECTOR)
		die("%s", usage_text);
	random_state = (random_state + 1) * 0x9e3779b97f4a7c15ull;
}

int main(int argc, char **argv)
{
	uint64_t flushes = UINT64_MAX, cuts = 500;

	random_state = 1;
	parse(argc, argv, &flushes, &cuts);
	load_log();
	undos = calloc(nr_entries + 1, sizeof(*undos));
	if (!undos)
		die("no memory");
	replay(flushes, cuts);
	return 0;
}
