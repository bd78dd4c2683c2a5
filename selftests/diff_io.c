// SPDX-License-Identifier: GPL-2.0-only
/*
 * diff_io: do random I/O to a block device and to a model of it in memory,
 * and compare what is read with the model.
 *
 * Which operations are done follows from the seed alone; when each of them
 * ends does not. An operation waits until nothing that is in flight touches
 * its sectors, unless both only read, so that for each sector the order of
 * writes is known. Otherwise whatever fits into the queue runs side by side,
 * in particular small writes to one cluster.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "diff_model.h"

#define MAX_DEPTH	32
#define MAX_SEGS	8
#define MAX_BATCH	8
#define NR_HELPERS	4
#define MAX_EXECS	8
#define PAGE		4096u
/* Segments are this far apart in a buffer, so that they do not merge. */
#define SEG_GAP		1024u
#define BUF_BYTES	(MAX_IO + MAX_SEGS * SEG_GAP + PAGE)
/* More than any window in the tests is open, less than a test may take. */
#define HANG_SECONDS	120

/**
 * struct slot - an operation in flight
 * @nr: operation
 * @busy: there is one
 * @result: of a helper, as AIO gives it
 * @next: in a list of the helpers
 */
struct slot {
	uint32_t nr;
	bool busy;
	int64_t result;
	struct slot *next;
	struct iocb iocb;
	struct iovec segs[MAX_SEGS];
	unsigned int nr_segs;
	uint8_t *buf;
};

/* A command that runs beside the I/O. */
struct exec {
	uint32_t at;
	const char *command;
	pid_t pid;
};

static struct {
	const char *dev;
	const char *init;
	const char *save;
	const char *log;
	const char *verify;
	const char *clone;
	const char *make;
	uint64_t size;
	uint32_t nr_ops;
	uint32_t clone_every;
	unsigned int depth;
	unsigned int buffered;
	unsigned int nr_clone;
	bool no_zero;
	struct exec execs[MAX_EXECS];
	unsigned int nr_execs;
} opt = { .nr_ops = 1000, .depth = 8 };

static struct model model;
static struct slot slots[MAX_DEPTH];
static unsigned int in_flight;
static struct iocb *batch[MAX_BATCH];
static unsigned int nr_batch;
static aio_context_t aio;
static int direct_fd, buffered_fd, event_fd;
static uint32_t ticks;
static bool can_punch;
/* What is done, and how; the latter depends on when things end. */
static uint64_t plan_state, detail_state;
static uint64_t bytes_done, count[OP_KINDS];

/* Slots on their way to the helpers and back. */
static pthread_mutex_t helper_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t helper_wake = PTHREAD_COND_INITIALIZER;
static struct slot *helper_todo, **helper_last = &helper_todo;
static struct slot *helper_done;

static uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull;
}

static uint64_t rnd(uint64_t below)
{
	return xorshift(&plan_state) % below;
}

static uint64_t detail(uint64_t below)
{
	return xorshift(&detail_state) % below;
}

static bool percent(unsigned int n)
{
	return rnd(100) < n;
}

/* ---- What to do next ---- */

/* Small and medium ones mostly; now and then as long as they get. */
static uint32_t any_length(void)
{
	switch (rnd(16)) {
	case 0 ... 5:
		return SECTOR * (1 + rnd(8));
	case 6 ... 9:
		return PAGE * (1 + rnd(15));
	case 10:
		return SECTOR * (1 + rnd(CLUSTER / SECTOR));
	case 11:
	case 12:
		return CLUSTER * (1 + rnd(4));
	case 13:
		return CLUSTER * (1 + rnd(3)) + SECTOR * (1 + rnd(8));
	case 14:
		return SECTOR * (1 + rnd(8 * CLUSTER / SECTOR));
	default:
		return rnd(4) ? CLUSTER * (1 + rnd(8)) :
				SECTOR * (1 + rnd(MAX_IO / SECTOR));
	}
}

/**
 * struct cursor - where the random walk is
 * @sequential: end of the sequential run
 * @run: operations that are still to follow in it, one right after the other
 * @hot: the cluster that gets many small operations
 * @order: its pages, in the order in which they get them
 * @left: how many of them are left
 * @last: end of the last operation
 * @spots: places that are visited again and again
 */
struct cursor {
	uint64_t sequential;
	unsigned int run;
	uint64_t hot;
	uint8_t order[CLUSTER / PAGE];
	unsigned int left;
	uint64_t last;
	uint64_t spots[4];
};

static struct cursor cursor;

static uint64_t nr_clusters(void)
{
	return (model.size + CLUSTER - 1) / CLUSTER;
}

/* Small operations one after the other in one cluster, none on another. */
static void hot_begin(void)
{
	unsigned int i, j;

	cursor.hot = rnd(nr_clusters()) * CLUSTER;
	for (i = 0; i < ARRAY_SIZE(cursor.order); i++) {
		j = rnd(i + 1);
		cursor.order[i] = cursor.order[j];
		cursor.order[j] = i;
	}
	cursor.left = 4 + rnd(ARRAY_SIZE(cursor.order) - 3);
}

static void hot_next(uint64_t *off, uint32_t *len)
{
	unsigned int first = rnd(PAGE / SECTOR);

	*off = cursor.hot + cursor.order[--cursor.left] * PAGE + first * SECTOR;
	*len = SECTOR * (1 + rnd(PAGE / SECTOR - first));
}

/* Side by side in the queue they may be merged into one request. */
static void sequential_next(uint64_t *off, uint32_t *len)
{
	if (!rnd(16) || cursor.sequential >= model.size)
		cursor.sequential = rnd(model.size / SECTOR) * SECTOR;
	*off = cursor.sequential;
	cursor.sequential += *len;
}

static void pick_range(uint64_t *off, uint32_t *len)
{
	uint64_t boundary = rnd(nr_clusters() + 1) * CLUSTER;
	uint32_t before;

	*len = any_length();
	if (cursor.left) {
		hot_next(off, len);
		return;
	}
	if (cursor.run) {
		cursor.run--;
		sequential_next(off, len);
		return;
	}
	switch (rnd(20)) {
	case 0 ... 1:
		hot_begin();
		hot_next(off, len);
		break;
	case 2 ... 3:
		cursor.run = rnd(8);
		sequential_next(off, len);
		break;
	case 4 ... 8:		/* across a cluster's edge, or up to it */
		before = rnd(8 + 1) * SECTOR;
		*off = boundary > before ? boundary - before : 0;
		break;
	case 9 ... 11:		/* whole clusters */
		*off = boundary;
		*len = (*len + CLUSTER - 1) / CLUSTER * CLUSTER;
		break;
	case 12 ... 13:		/* the neighbour */
		*off = (cursor.last + CLUSTER - 1) / CLUSTER * CLUSTER +
		       (rnd(2) ? 0 : rnd(CLUSTER / SECTOR) * SECTOR);
		break;
	case 14 ... 15:
		*off = cursor.spots[rnd(ARRAY_SIZE(cursor.spots))] +
		       rnd(16) * SECTOR;
		break;
	case 16:		/* the very end */
		*off = model.size - MIN((uint64_t)*len, model.size);
		break;
	default:
		*off = rnd(model.size / SECTOR) * SECTOR;
		break;
	}
	if (!rnd(32))
		cursor.spots[rnd(ARRAY_SIZE(cursor.spots))] =
			rnd(model.size / SECTOR) * SECTOR;
}

static unsigned int pick_kind(void)
{
	if (cursor.left ? percent(80) : percent(55))
		return percent(8) ? OP_WRITE_DSYNC : OP_WRITE;
	if (percent(55))
		return OP_READ;
	if (percent(15))
		return OP_FLUSH;
	if (opt.no_zero)
		return OP_WRITE;
	switch (rnd(3)) {
	case 0:
		return OP_ZEROOUT;
	case 1:
		return can_punch ? OP_PUNCH : OP_ZEROOUT;
	default:
		return OP_ZERO_RANGE;
	}
}

static void next_op(void)
{
	uint64_t off;
	uint32_t len;
	unsigned int kind = pick_kind();

	pick_range(&off, &len);
	if (off >= model.size)
		off = model.size - SECTOR;
	/* Half of those who zero do it to whole clusters. */
	if (op_is_zero(kind) && percent(50)) {
		off -= (model.base + off) % CLUSTER;
		len = (len + CLUSTER - 1) / CLUSTER * CLUSTER;
	}
	len = MIN(len, model.size - off);
	if (percent(opt.buffered) && (kind == OP_READ || kind == OP_WRITE)) {
		kind = kind == OP_READ ? OP_BUF_READ : OP_BUF_WRITE;
		off += rnd(SECTOR);
		len -= rnd(SECTOR);
		len = MIN(len, model.size - off);
	}
	if (kind == OP_FLUSH)
		off = len = 0;
	else
		cursor.last = off + len;
	model_add(&model, kind, off, len);
}

/* ---- Helpers: what cannot be submitted and waited for later ---- */

static int64_t zero(const struct op *op)
{
	uint64_t range[2] = { model.base + op->off, op->len };
	int mode = op->kind == OP_PUNCH ? FALLOC_FL_PUNCH_HOLE :
					  FALLOC_FL_ZERO_RANGE;
	int ret;

	if (op->kind == OP_ZEROOUT)
		ret = ioctl(direct_fd, BLKZEROOUT, range);
	else
		ret = fallocate(direct_fd, mode | FALLOC_FL_KEEP_SIZE, range[0],
				range[1]);
	return ret ? -errno : (int64_t)op->len;
}

static int64_t helper_run(struct slot *slot)
{
	const struct op *op = &model.ops[slot->nr];
	int64_t ret;

	switch (op->kind) {
	case OP_BUF_READ:
		ret = pread(buffered_fd, slot->buf, op->len,
			    model.base + op->off);
		break;
	case OP_BUF_WRITE:
		ret = pwrite(buffered_fd, model.data + op->off, op->len,
			     model.base + op->off);
		break;
	default:
		return zero(op);
	}
	return ret < 0 ? -errno : ret;
}

static void *helper(void *unused)
{
	uint64_t one = 1;
	struct slot *slot;

	(void)unused;
	for (;;) {
		pthread_mutex_lock(&helper_lock);
		while (!helper_todo)
			pthread_cond_wait(&helper_wake, &helper_lock);
		slot = helper_todo;
		helper_todo = slot->next;
		if (!helper_todo)
			helper_last = &helper_todo;
		pthread_mutex_unlock(&helper_lock);

		slot->result = helper_run(slot);

		pthread_mutex_lock(&helper_lock);
		slot->next = helper_done;
		helper_done = slot;
		pthread_mutex_unlock(&helper_lock);
		if (write(event_fd, &one, sizeof(one)) != sizeof(one))
			die("eventfd: %s", strerror(errno));
	}
	return NULL;
}

static void helper_submit(struct slot *slot)
{
	pthread_mutex_lock(&helper_lock);
	slot->next = NULL;
	*helper_last = slot;
	helper_last = &slot->next;
	pthread_cond_signal(&helper_wake);
	pthread_mutex_unlock(&helper_lock);
}

/* ---- Submission and completion ---- */

static void submit_batch(void)
{
	struct iocb **next = batch;
	long ret;

	while (nr_batch) {
		ret = syscall(SYS_io_submit, aio, (long)nr_batch, next);
		if (ret < 0)
			die("io_submit: %s", strerror(errno));
		next += ret;
		nr_batch -= ret;
	}
}

/*
 * Where the data lies in memory: in the model itself, or in pieces in the
 * slot's buffer, none of them aligned to more than the device asks for.
 */
static void choose_memory(struct slot *slot, const struct op *op)
{
	uint32_t left = op->len, n;
	uint8_t *p = slot->buf + detail(PAGE / SECTOR) * SECTOR;
	unsigned int max = detail(2) ? 1 : MAX_SEGS;

	slot->nr_segs = 0;
	if (op->kind != OP_READ && detail(2)) {
		slot->segs[slot->nr_segs++] = (struct iovec){
			.iov_base = model.data + op->off,
			.iov_len = op->len,
		};
		return;
	}
	while (left) {
		n = left;
		if (slot->nr_segs + 1 < max && left > SECTOR)
			n = SECTOR * (1 + detail(left / SECTOR));
		slot->segs[slot->nr_segs++] = (struct iovec){
			.iov_base = p,
			.iov_len = n,
		};
		if (op->kind != OP_READ)
			copy(p, model.data + op->off + op->len - left, n);
		p += n + SEG_GAP;
		left -= n;
	}
}

static void aio_queue(struct slot *slot, const struct op *op)
{
	struct iocb *iocb = &slot->iocb;
	bool write = op->kind != OP_READ;

	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_data = slot - slots;
	iocb->aio_fildes = direct_fd;
	iocb->aio_flags = IOCB_FLAG_RESFD;
	iocb->aio_resfd = event_fd;
	if (op->kind == OP_FLUSH) {
		iocb->aio_lio_opcode = IOCB_CMD_FDSYNC;
	} else {
		choose_memory(slot, op);
		iocb->aio_offset = model.base + op->off;
		iocb->aio_lio_opcode = write ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV;
		iocb->aio_buf = (uintptr_t)slot->segs;
		iocb->aio_nbytes = slot->nr_segs;
		if (op->kind == OP_WRITE_DSYNC)
			iocb->aio_rw_flags = RWF_DSYNC;
	}
	batch[nr_batch++] = iocb;
	/* Batches of all sizes: those of several may be merged to one request. */
	if (nr_batch == MAX_BATCH || !detail(4))
		submit_batch();
}

static void fail_op(const struct op *op, int64_t result)
{
	printf("FAILED: operation %u, %s, offset 0x%" PRIx64 " length 0x%x, seed %u: ",
	       (uint32_t)(op - model.ops), op_name(op->kind),
	       model.base + op->off, op->len, model.seed);
	if (result < 0)
		printf("%s\n", strerror(-result));
	else
		printf("only %" PRId64 " bytes\n", result);
	fflush(stdout);
	_exit(1);
}

static void compare_slot(struct slot *slot, const struct op *op)
{
	uint64_t off = op->off;
	char what[64];
	unsigned int i;

	snprintf(what, sizeof(what), "operation %u (%s)", slot->nr,
		 op_name(op->kind));
	if (op->kind == OP_BUF_READ) {
		slot->nr_segs = 1;
		slot->segs[0].iov_base = slot->buf;
		slot->segs[0].iov_len = op->len;
	}
	for (i = 0; i < slot->nr_segs; i++) {
		const struct iovec *seg = &slot->segs[i];

		if (!same(seg->iov_base, model.data + off, seg->iov_len)) {
			model_mismatch(&model, what, off, seg->iov_base,
				       seg->iov_len);
			_exit(1);
		}
		off += seg->iov_len;
	}
}

static void end_slot(struct slot *slot, int64_t result)
{
	struct op *op = &model.ops[slot->nr];

	op->ended = ++ticks;
	if (result != (int64_t)op->len)
		fail_op(op, result);
	if (op->kind == OP_READ || op->kind == OP_BUF_READ)
		compare_slot(slot, op);
	bytes_done += op->len;
	count[op->kind]++;
	slot->busy = false;
	in_flight--;
}

static void print_hang(void)
{
	unsigned int i;

	printf("HANG: nothing has ended for %u s, seed %u; in flight:\n",
	       HANG_SECONDS, model.seed);
	for (i = 0; i < MAX_DEPTH; i++) {
		const struct op *op = &model.ops[slots[i].nr];

		if (slots[i].busy)
			printf("  %6u %-14s offset 0x%" PRIx64 " length 0x%x\n",
			       slots[i].nr, op_name(op->kind),
			       model.base + op->off, op->len);
	}
	fflush(stdout);
	/* Not exit(): what hangs would be waited for. */
	kill(getpid(), SIGKILL);
}

static void wait_event(void)
{
	struct pollfd pfd = { .fd = event_fd, .events = POLLIN };
	uint64_t n;

	if (poll(&pfd, 1, HANG_SECONDS * 1000) != 1)
		print_hang();
	if (read(event_fd, &n, sizeof(n)) != sizeof(n))
		die("eventfd: %s", strerror(errno));
}

/* Wait until at least one operation has ended since the last time. */
static void reap(void)
{
	struct io_event events[MAX_DEPTH];
	struct timespec now = { 0 };
	struct slot *slot, *done;
	long i, n;

	submit_batch();
	wait_event();
	n = syscall(SYS_io_getevents, aio, 0L, (long)MAX_DEPTH, events, &now);
	if (n < 0)
		die("io_getevents: %s", strerror(errno));
	for (i = 0; i < n; i++)
		end_slot(&slots[events[i].data], events[i].res);
	pthread_mutex_lock(&helper_lock);
	done = helper_done;
	helper_done = NULL;
	pthread_mutex_unlock(&helper_lock);
	while (done) {
		slot = done;
		done = slot->next;
		end_slot(slot, slot->result);
	}
}

/*
 * What an operation touches. The page cache reads and writes pages, and
 * zeroing drops pages from it: with both at work all is taken for whole pages.
 */
static void touched(const struct op *op, uint64_t *start, uint64_t *end)
{
	*start = op->off;
	*end = op->off + op->len;
	if (opt.buffered) {
		*start -= *start % PAGE;
		*end = (*end + PAGE - 1) / PAGE * PAGE;
	}
}

static bool conflicts(const struct op *op)
{
	uint64_t start, end, s, e;
	unsigned int i;

	touched(op, &start, &end);
	for (i = 0; i < MAX_DEPTH; i++) {
		const struct op *other = &model.ops[slots[i].nr];

		if (!slots[i].busy ||
		    !(op_is_write(op->kind) || op_is_write(other->kind)))
			continue;
		touched(other, &s, &e);
		if (start < e && s < end)
			return true;
	}
	return false;
}

static struct slot *free_slot(void)
{
	unsigned int i = 0;

	while (slots[i].busy)
		i++;
	return &slots[i];
}

static void issue(uint32_t nr)
{
	struct op *op = &model.ops[nr];
	struct slot *slot;

	while (in_flight >= opt.depth || conflicts(op))
		reap();
	slot = free_slot();
	slot->nr = nr;
	slot->busy = true;
	in_flight++;
	op->issued = ++ticks;
	if (op_is_write(op->kind))
		model_apply(&model, nr);
	if (op_is_zero(op->kind) || op_is_buffered(op->kind))
		helper_submit(slot);
	else
		aio_queue(slot, op);
}

static void drain(void)
{
	while (in_flight)
		reap();
}

/* ---- Beside the I/O ---- */

static void exec_wait(struct exec *exec)
{
	int status;

	if (!exec->pid)
		return;
	if (waitpid(exec->pid, &status, 0) != exec->pid)
		die("waitpid: %s", strerror(errno));
	exec->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("command failed (status 0x%x): %s", status, exec->command);
}

static void exec_start(struct exec *exec)
{
	char *argv[] = { "sh", "-c", (char *)exec->command, NULL };
	int ret;

	submit_batch();
	ret = posix_spawn(&exec->pid, "/bin/sh", NULL, NULL, argv, environ);
	if (ret)
		die("sh: %s", strerror(ret));
}

static void exec_due(uint32_t nr)
{
	unsigned int i, j;

	for (i = 0; i < opt.nr_execs; i++) {
		if (opt.execs[i].at != nr)
			continue;
		/* Only one window at a time. */
		for (j = 0; j < opt.nr_execs; j++)
			exec_wait(&opt.execs[j]);
		exec_start(&opt.execs[i]);
	}
}

/*
 * Of two copies one is made when a flush has ended, and what it covers must be
 * there; the other one while a flush is under way, and with it the metadata.
 */
static void flush_for_clone(void)
{
	uint32_t nr = model.nr_ops;

	model_add(&model, OP_FLUSH, 0, 0);
	issue(nr);
	submit_batch();
	if (opt.nr_clone % 2)
		while (!model.ops[nr].ended)
			reap();
	else
		usleep(detail(6000));
}

/* As the file is at this moment, by the file system's own means. */
static void clone_image(void)
{
	char name[4096];
	struct op *op;
	int from, to;

	flush_for_clone();
	op = model_add(&model, OP_CLONE, 0, 0);
	snprintf(name, sizeof(name), "%s.clone%u", opt.clone, opt.nr_clone++);
	from = open(opt.clone, O_RDONLY | O_CLOEXEC);
	to = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	op->issued = ++ticks;
	if (from < 0 || to < 0 || ioctl(to, FICLONE, from))
		die("cannot clone %s: %s", opt.clone, strerror(errno));
	op->ended = ++ticks;
	close(from);
	close(to);
}

/* ---- The run ---- */

static void compare_all(void)
{
	uint64_t off, found = 0;
	uint32_t len;
	ssize_t n;

	for (off = 0; off < model.size; off += len) {
		len = MIN(model.size - off, (uint64_t)MAX_IO);
		n = pread(direct_fd, slots[0].buf, len, model.base + off);
		if (n != (ssize_t)len)
			die("read at 0x%" PRIx64 ": %s", model.base + off,
			    n < 0 ? strerror(errno) : "short");
		if (same(slots[0].buf, model.data + off, len))
			continue;
		model_mismatch(&model, "the comparison at the end", off,
			       slots[0].buf, len);
		if (++found == 4)
			break;
	}
	if (found)
		_exit(1);
}

static void run(void)
{
	uint32_t nr, done = 0;
	unsigned int i;

	while (done < opt.nr_ops) {
		exec_due(done);
		if (opt.clone_every && done % opt.clone_every == opt.clone_every - 1)
			clone_image();
		nr = model.nr_ops;
		next_op();
		issue(nr);
		done++;
	}
	exec_due(done);
	drain();
	for (i = 0; i < opt.nr_execs; i++)
		exec_wait(&opt.execs[i]);
	if (opt.buffered && fsync(buffered_fd))
		die("fsync: %s", strerror(errno));
	compare_all();
}

/* Without this, the kernel would write the zeroes itself, or refuse. */
static bool has_write_zeroes(const struct stat *st)
{
	static const char * const names[] = {
		"/sys/dev/block/%u:%u/queue/write_zeroes_max_bytes",
		"/sys/dev/block/%u:%u/../queue/write_zeroes_max_bytes",
	};
	unsigned long long max = 0;
	unsigned int i;
	char name[128];
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), names[i], major(st->st_rdev),
			 minor(st->st_rdev));
		f = fopen(name, "r");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &max) != 1)
			max = 0;
		fclose(f);
		break;
	}
	return max;
}

static void open_device(void)
{
	struct stat st;
	uint64_t size;

	direct_fd = open(opt.dev, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct_fd < 0 || fstat(direct_fd, &st) ||
	    ioctl(direct_fd, BLKGETSIZE64, &size))
		die("%s: %s", opt.dev, strerror(errno));
	if (model.base + opt.size > size || model.base >= size)
		die("%s: has only %" PRIu64 " bytes", opt.dev, size);
	model.size = opt.size ? opt.size : size - model.base;
	can_punch = has_write_zeroes(&st);
	if (!opt.buffered)
		return;
	buffered_fd = open(opt.dev, O_RDWR | O_CLOEXEC);
	if (buffered_fd < 0)
		die("%s: %s", opt.dev, strerror(errno));
	/* Reading ahead would not know about what is in flight. */
	posix_fadvise(buffered_fd, 0, 0, POSIX_FADV_RANDOM);
}

static void prepare(void)
{
	pthread_t thread;
	unsigned int i;

	open_device();
	model.max_ops = opt.nr_ops;
	/* Copies and their flushes are in the same table. */
	if (opt.clone_every)
		model.max_ops += opt.nr_ops / opt.clone_every * 2;
	model_alloc(&model);
	if (opt.init)
		model_load(&model, opt.init);
	plan_state = (model.seed + 1ull) * 0x9e3779b97f4a7c15ull;
	detail_state = ~plan_state;
	for (i = 0; i < ARRAY_SIZE(cursor.spots); i++)
		cursor.spots[i] = rnd(model.size / SECTOR) * SECTOR;
	for (i = 0; i < MAX_DEPTH; i++) {
		slots[i].buf = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (slots[i].buf == MAP_FAILED)
			die("no memory for buffers");
	}
	event_fd = eventfd(0, EFD_CLOEXEC);
	if (event_fd < 0 || syscall(SYS_io_setup, (long)MAX_DEPTH, &aio))
		die("io_setup: %s", strerror(errno));
	for (i = 0; i < NR_HELPERS; i++)
		if (pthread_create(&thread, NULL, helper, NULL))
			die("no helper threads");
}

static void summary(const struct timespec *start)
{
	struct timespec now;
	unsigned int i;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("diff_io: seed %u depth %u: %" PRIu64 " MiB in %.1f s:",
	       model.seed, opt.depth, bytes_done >> 20,
	       (now.tv_sec - start->tv_sec) +
	       (now.tv_nsec - start->tv_nsec) / 1e9);
	for (i = 0; i < OP_KINDS; i++)
		if (count[i])
			printf(" %" PRIu64 " %s", count[i], op_name(i));
	printf("\n");
}

static const char usage_text[] =
"usage: diff_io --dev DEV --seed N [OPTION]...\n"
"       diff_io --make FILE --size BYTES [--seed N]\n"
"       diff_io --verify FILE --log LOG --clone-nr N [--init FILE]\n"
"\n"
"Do random I/O to DEV and compare it with a model in memory.\n"
"\n"
"  --dev DEV            block device\n"
"  --seed N             what the operations follow from\n"
"  --ops N              how many (default 1000)\n"
"  --depth N            how many at once, 1 to 32 (default 8)\n"
"  --offset BYTES       begin there on the device, in units of 64 KiB\n"
"  --size BYTES         and go no further than that\n"
"  --init FILE          what the device contains; otherwise zeroes\n"
"  --model FILE         at the end, write there what it must contain\n"
"  --buffered PERCENT   of reads and writes go through the page cache, at any\n"
"                       byte\n"
"  --no-zero            no operation that zeroes\n"
"  --exec-at K COMMAND  before operation K start COMMAND beside the I/O; it\n"
"                       must succeed. Up to 8 times\n"
"  --clone IMAGE        reflink the image file to IMAGE.clone0, ... before\n"
"  --clone-every N      each N'th operation\n"
"  --log FILE           at the end, write there what was done and when\n"
"  --make FILE          make a file of --size bytes with something in it\n"
"  --verify FILE        FILE is the content of the copy --clone-nr that a run\n"
"                       with --log made: could a power cut have left it?\n"
"\n"
"Exit status: 0 if all is as it must be, 1 if not.\n";

static uint64_t number(const char *text)
{
	static const char units[] = "KMG";
	uint64_t n;
	char *end, *unit;

	n = strtoull(text, &end, 0);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		n <<= 10 * (unit - units + 1);
		end++;
	}
	if (end == text || *end)
		die("%s: not a number", text);
	return n;
}

static void add_exec(uint32_t at, char **argv, int argc)
{
	if (optind >= argc || opt.nr_execs == MAX_EXECS)
		die("--exec-at K COMMAND, at most %u times", MAX_EXECS);
	opt.execs[opt.nr_execs].at = at;
	opt.execs[opt.nr_execs++].command = argv[optind++];
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dev", required_argument, NULL, 'd' },
		{ "seed", required_argument, NULL, 's' },
		{ "ops", required_argument, NULL, 'n' },
		{ "depth", required_argument, NULL, 'q' },
		{ "offset", required_argument, NULL, 'o' },
		{ "size", required_argument, NULL, 'S' },
		{ "init", required_argument, NULL, 'i' },
		{ "model", required_argument, NULL, 'm' },
		{ "buffered", required_argument, NULL, 'b' },
		{ "no-zero", no_argument, NULL, 'z' },
		{ "exec-at", required_argument, NULL, 'x' },
		{ "clone", required_argument, NULL, 'c' },
		{ "clone-every", required_argument, NULL, 'C' },
		{ "clone-nr", required_argument, NULL, 'N' },
		{ "log", required_argument, NULL, 'l' },
		{ "verify", required_argument, NULL, 'v' },
		{ "make", required_argument, NULL, 'M' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	/* "+": the words of a command are not ours. */
	while ((c = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		switch (c) {
		case 'd': opt.dev = optarg; break;
		case 's': model.seed = number(optarg); break;
		case 'n': opt.nr_ops = number(optarg); break;
		case 'q': opt.depth = number(optarg); break;
		case 'o': model.base = number(optarg); break;
		case 'S': opt.size = number(optarg); break;
		case 'i': opt.init = optarg; break;
		case 'm': opt.save = optarg; break;
		case 'b': opt.buffered = number(optarg); break;
		case 'z': opt.no_zero = true; break;
		case 'x': add_exec(number(optarg), argv, argc); break;
		case 'c': opt.clone = optarg; break;
		case 'C': opt.clone_every = number(optarg); break;
		case 'N': opt.nr_clone = number(optarg); break;
		case 'l': opt.log = optarg; break;
		case 'v': opt.verify = optarg; break;
		case 'M': opt.make = optarg; break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(2);
		}
	}
	if (optind < argc || !!opt.dev + !!opt.verify + !!opt.make != 1 || !opt.depth ||
	    opt.depth > MAX_DEPTH || model.base % CLUSTER || opt.size % SECTOR ||
	    (opt.clone_every && (!opt.clone || opt.buffered)) ||
	    (opt.verify && !opt.log)) {
		fputs(usage_text, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct timespec start;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	if (opt.verify) {
		log_load(&model, opt.log);
		if (opt.init)
			model_load(&model, opt.init);
		return log_verify(&model, opt.verify, opt.nr_clone);
	}
	if (opt.make) {
		make_content(opt.make, opt.size, model.seed);
		return 0;
	}
	prepare();
	clock_gettime(CLOCK_MONOTONIC, &start);
	run();
	summary(&start);
	if (opt.save)
		model_save(&model, opt.save);
	if (opt.log)
		log_save(&model, opt.log);
	return 0;
}
