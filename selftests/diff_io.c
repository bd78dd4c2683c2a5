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
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "diff_io.h"

/* Operations from one mark in dm-log-writes' log to the next, at most. */
#define MARK_EVERY	16

struct options opt = { .nr_ops = 1000, .depth = 8, .cluster = DEFAULT_CLUSTER,
		       .nr_verify = UINT_MAX, .until = UINT_MAX };
struct model model;

static void run(void)
{
	uint32_t nr, done = 0;

	while (done < opt.nr_ops) {
		exec_due(done);
		if (opt.clone_every && done % opt.clone_every == opt.clone_every - 1)
			clone_image();
		if (opt.mark && done % MARK_EVERY == 0)
			mark_log();
		nr = model.nr_ops;
		plan_next();
		issue(nr);
		done++;
	}
	exec_due(done);
	drain();
	exec_wait_all();
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
	int flags = (opt.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC, block;
	struct stat st;
	uint64_t size;

	direct_fd = open(opt.dev, flags | O_DIRECT);
	if (direct_fd < 0 || fstat(direct_fd, &st) ||
	    ioctl(direct_fd, BLKGETSIZE64, &size) ||
	    ioctl(direct_fd, BLKSSZGET, &block))
		die("%s: %s", opt.dev, strerror(errno));
	if (model.base + opt.size > size || model.base >= size)
		die("%s: has only %" PRIu64 " bytes", opt.dev, size);
	model.size = opt.size ? opt.size : size - model.base;
	opt.block = block;
	if (model.base % opt.block || model.size % opt.block || opt.block > PAGE)
		die("%s: logical blocks of %u bytes", opt.dev, opt.block);
	opt.can_punch = has_write_zeroes(&st);
	if (!opt.buffered)
		return;
	buffered_fd = open(opt.dev, flags);
	if (buffered_fd < 0)
		die("%s: %s", opt.dev, strerror(errno));
	/* Reading ahead would not know about what is in flight. */
	posix_fadvise(buffered_fd, 0, 0, POSIX_FADV_RANDOM);
}

static void prepare(void)
{
	open_device();
	model.max_ops = opt.nr_ops;
	/* Copies and their flushes are in the same table. */
	if (opt.clone_every)
		model.max_ops += opt.nr_ops / opt.clone_every * 2;
	if (opt.mark)
		model.max_ops += opt.nr_ops + opt.nr_ops / MARK_EVERY + 1;
	model_alloc(&model);
	if (opt.init)
		model_load(&model, opt.init);
	plan_begin();
	queue_begin();
}

static void summary(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("diff_io: seed %u depth %u: %.1f s, ", model.seed, opt.depth,
	       (now.tv_sec - start->tv_sec) +
	       (now.tv_nsec - start->tv_nsec) / 1e9);
	queue_summary();
	printf("\n");
}

static const char usage_text[] =
"usage: diff_io --dev DEV --seed N [OPTION]...\n"
"       diff_io --make FILE --size BYTES [--seed N]\n"
"       diff_io --verify FILE --log LOG [--clone-nr N] [--until N] [--init FILE]\n"
"\n"
"Do random I/O to DEV and compare it with a model in memory.\n"
"\n"
"  --dev DEV            block device\n"
"  --seed N             what the operations follow from\n"
"  --ops N              how many (default 1000)\n"
"  --depth N            how many at once, 1 to 32 (default 8)\n"
"  --cluster BYTES      what a cluster is to the choice of operations, 512 to 2M\n"
"                       (default 64K)\n"
"  --offset BYTES       begin there on the device, in units of clusters\n"
"  --size BYTES         and go no further than that\n"
"  --init FILE          what the device contains; otherwise zeroes\n"
"  --model FILE         at the end, write there what it must contain\n"
"  --buffered PERCENT   of reads and writes go through the page cache, at any\n"
"                       byte\n"
"  --no-zero            no operation that zeroes\n"
"  --discard            discard as well, whole clusters, which must then read as\n"
"                       zeroes\n"
"  --read-only          reads only\n"
"  --may-fail A-B       operations may fail that touch the bytes from A to B, and\n"
"                       flushes. What a write that failed leaves is looked at at\n"
"                       the end: zeroes, or something written there\n"
"  --exec-at K COMMAND  before operation K start COMMAND beside the I/O; it\n"
"                       must succeed\n"
"  --window-at K[,save=FILE][,load=FILE] COMMAND\n"
"                       before operation K wait for all those before it, freeze\n"
"                       the device, then start COMMAND, which must thaw it,\n"
"                       beside the I/O. The content before is saved to one\n"
"                       file, that which COMMAND makes of it is in the other\n"
"                       file. Both options together up to 8 times\n"
"  --clone IMAGE        reflink the image file to IMAGE.clone0, ... before\n"
"  --clone-every N      each N'th operation\n"
"  --mark NAME          put a mark c0, c1, ... into the log of the dm-log-writes\n"
"                       device NAME now and then, and when a flush has ended\n"
"  --log FILE           at the end, write there what was done and when\n"
"  --make FILE          make a file of --size bytes with something in it\n"
"  --verify FILE        FILE is the content of the copy --clone-nr that a run\n"
"                       with --log made: could a power cut have left it? Or\n"
"                       one at some moment after the mark of that number and\n"
"                       before that of the number --until. Without a number: one\n"
"                       after all operations\n"
"\n"
"Exit status: 0 if all is as it must be, 1 if not.\n";

static uint64_t number(const char *text)
{
	static const char units[] = "KMG";
	const char *unit;
	uint64_t n;
	char *end;

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

static struct exec *add_exec(const char *at, char **argv, int argc)
{
	struct exec *exec = &opt.execs[opt.nr_execs++];

	if (optind >= argc || opt.nr_execs > MAX_EXECS)
		die("a number and a command, at most %u times", MAX_EXECS);
	exec->at = number(at);
	exec->command = argv[optind++];
	return exec;
}

static void add_window(char *words, char **argv, int argc)
{
	static char *const names[] = { "save", "load", NULL };
	char *more = strchr(words, ','), *value;
	struct exec *exec;

	if (more)
		*more++ = 0;
	exec = add_exec(words, argv, argc);
	exec->window = true;
	while (more && *more) {
		switch (getsubopt(&more, names, &value)) {
		case 0:	exec->save = value; break;
		case 1:	exec->load = value; break;
		default: die("%s: unknown word", value);
		}
	}
}

static void set_may_fail(char *range)
{
	char *to = strchr(range, '-');

	if (!to)
		die("%s: not a range", range);
	*to++ = 0;
	opt.may_fail = true;
	opt.fail_from = number(range);
	opt.fail_to = number(to);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dev", required_argument, NULL, 'd' },
		{ "seed", required_argument, NULL, 's' },
		{ "ops", required_argument, NULL, 'n' },
		{ "depth", required_argument, NULL, 'q' },
		{ "cluster", required_argument, NULL, 'B' },
		{ "offset", required_argument, NULL, 'o' },
		{ "size", required_argument, NULL, 'S' },
		{ "init", required_argument, NULL, 'i' },
		{ "model", required_argument, NULL, 'm' },
		{ "buffered", required_argument, NULL, 'b' },
		{ "no-zero", no_argument, NULL, 'z' },
		{ "discard", no_argument, NULL, 'D' },
		{ "read-only", no_argument, NULL, 'r' },
		{ "window-at", required_argument, NULL, 'w' },
		{ "exec-at", required_argument, NULL, 'x' },
		{ "clone", required_argument, NULL, 'c' },
		{ "clone-every", required_argument, NULL, 'C' },
		{ "clone-nr", required_argument, NULL, 'N' },
		{ "until", required_argument, NULL, 'u' },
		{ "mark", required_argument, NULL, 'k' },
		{ "may-fail", required_argument, NULL, 'f' },
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
		case 'B': opt.cluster = number(optarg); break;
		case 'o': model.base = number(optarg); break;
		case 'S': opt.size = number(optarg); break;
		case 'i': opt.init = optarg; break;
		case 'm': opt.save = optarg; break;
		case 'b': opt.buffered = number(optarg); break;
		case 'z': opt.no_zero = true; break;
		case 'D': opt.discard = true; break;
		case 'f': set_may_fail(optarg); break;
		case 'r': opt.read_only = true; break;
		case 'x': add_exec(optarg, argv, argc); break;
		case 'w': add_window(optarg, argv, argc); break;
		case 'c': opt.clone = optarg; break;
		case 'C': opt.clone_every = number(optarg); break;
		case 'N': opt.nr_verify = number(optarg); break;
		case 'u': opt.until = number(optarg); break;
		case 'k': opt.mark = optarg; break;
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
	    opt.depth > MAX_DEPTH || opt.cluster < SECTOR ||
	    opt.cluster > MAX_CLUSTER || opt.cluster & (opt.cluster - 1) ||
	    model.base % opt.cluster || (opt.dev && opt.size % SECTOR) ||
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
	model.cluster = opt.cluster;
	if (opt.verify) {
		log_load(&model, opt.log);
		if (opt.init)
			model_load(&model, opt.init);
		return log_verify(&model, opt.verify, opt.nr_verify, opt.until);
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
