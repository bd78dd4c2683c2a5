// SPDX-License-Identifier: GPL-2.0-only
/*
 * How diff_io's operations get to the device and back, as many side by side
 * as fit into the queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "diff_io.h"

#define MAX_SEGS	8
#define MAX_BATCH	8
#define NR_HELPERS	4
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

int direct_fd, buffered_fd;
uint32_t ticks;

static struct slot slots[MAX_DEPTH];
static unsigned int in_flight;
static struct iocb *batch[MAX_BATCH];
static unsigned int nr_batch;
static aio_context_t aio;
static int event_fd;
static uint64_t bytes_done, count[OP_KINDS], nr_failed;
static int last_error;

/* Slots on their way to the helpers and back. */
static pthread_mutex_t helper_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t helper_wake = PTHREAD_COND_INITIALIZER;
static struct slot *helper_todo, **helper_last = &helper_todo;
static struct slot *helper_done;

/* ---- Helpers: what cannot be submitted and waited for later ---- */

static int64_t zero(const struct op *op)
{
	uint64_t range[2] = { model.base + op->off, op->len };
	int mode = op->kind == OP_PUNCH ? FALLOC_FL_PUNCH_HOLE :
					  FALLOC_FL_ZERO_RANGE;
	int ret;

	if (op->kind == OP_ZEROOUT || op->kind == OP_DISCARD)
		ret = ioctl(direct_fd, op->kind == OP_DISCARD ? BLKDISCARD :
								BLKZEROOUT, range);
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

void queue_submit(void)
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
	uint8_t *p = slot->buf + detail(PAGE / opt.block) * opt.block;
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
		if (slot->nr_segs + 1 < max && left > opt.block)
			n = opt.block * (1 + detail(left / opt.block));
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
		queue_submit();
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

		if (!model_agrees(&model, off, seg->iov_base, seg->iov_len)) {
			model_mismatch(&model, what, off, seg->iov_base,
				       seg->iov_len);
			_exit(1);
		}
		off += seg->iov_len;
	}
}

/* The error is kept: all the operations that fail, fail for the same reason. */
static bool forgive(const struct op *op, int64_t result)
{
	if (!opt.may_fail || (result != -EIO && result != -ENOSPC && result != -EPERM))
		return false;
	if (op->kind != OP_FLUSH &&
	    (op->off + op->len <= opt.fail_from || op->off >= opt.fail_to))
		return false;
	nr_failed++;
	last_error = -result;
	return true;
}

static void end_slot(struct slot *slot, int64_t result)
{
	struct op *op = &model.ops[slot->nr];

	if (result != (int64_t)op->len && !forgive(op, result))
		fail_op(op, result);
	if (result == (int64_t)op->len)
		op->ended = ++ticks;
	else
		model_unsure(&model, op, true);
	if (op->ended && opt.may_fail)
		model_unsure(&model, op, false);
	if (op->ended && (op->kind == OP_READ || op->kind == OP_BUF_READ))
		compare_slot(slot, op);
	if (op->ended) {
		bytes_done += op->len;
		count[op->kind]++;
	}
	slot->busy = false;
	in_flight--;
	if (opt.mark && op->ended && (op->kind == OP_FLUSH || op->kind == OP_WRITE_DSYNC))
		mark_log();
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
void reap(void)
{
	struct io_event events[MAX_DEPTH];
	struct timespec now = { 0 };
	struct slot *slot, *done;
	long i, n;

	queue_submit();
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

void issue(uint32_t nr)
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

void drain(void)
{
	while (in_flight)
		reap();
}

/* Compare all of the device with the model. */
void compare_all(void)
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
		if (model_agrees(&model, off, slots[0].buf, len) &&
		    (!opt.may_fail || model_adopt(&model, off, slots[0].buf, len)))
			continue;
		model_mismatch(&model, "the comparison at the end", off,
			       slots[0].buf, len);
		if (++found == 4)
			break;
	}
	if (found)
		_exit(1);
}

void queue_begin(void)
{
	pthread_t thread;
	unsigned int i;

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

void queue_summary(void)
{
	unsigned int i;

	printf("%" PRIu64 " MiB", bytes_done >> 20);
	for (i = 0; i < OP_KINDS; i++)
		if (count[i])
			printf(", %" PRIu64 " %s", count[i], op_name(i));
	if (nr_failed)
		printf("; %" PRIu64 " failed, the last one with: %s", nr_failed,
		       strerror(last_error));
}
