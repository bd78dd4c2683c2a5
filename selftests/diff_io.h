/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of diff_io: what it is asked to do (diff_io.c), which operation
 * comes next (diff_plan.c), how operations get to the device and back
 * (diff_queue.c), and what happens beside them (diff_beside.c).
 */
#ifndef DIFF_IO_H
#define DIFF_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "diff_model.h"

#define MAX_DEPTH	32
#define MAX_EXECS	8
#define PAGE		4096u
#define DEFAULT_CLUSTER	65536u
#define MAX_CLUSTER	(2u << 20)

/**
 * struct exec - a command that runs beside the I/O
 * @at: operation before which it is started
 * @command: for the shell
 * @pid: of that, while it runs
 * @window: the device is frozen first, with nothing in flight, so that it is
 *	known what the device contains when the command begins
 * @save: write the model there when that is known
 * @load: the command changes the content to what is in that file
 */
struct exec {
	uint32_t at;
	const char *command;
	pid_t pid;
	bool window;
	const char *save;
	const char *load;
};

/**
 * struct options - what the command line says, and what the device does
 * @cluster: what the random walk takes for a cluster, in bytes
 * @block: the device's logical block size
 * @can_punch: the device knows how to write zeroes
 * @may_fail: operations may fail that touch the device between the next two
 * @fail_from: in bytes of the region
 * @fail_to: the same
 * @mark: device of dm-log-writes that is told how far the operations are
 */
struct options {
	const char *dev;
	const char *init;
	const char *save;
	const char *log;
	const char *verify;
	const char *clone;
	const char *mark;
	const char *make;
	uint64_t size;
	uint32_t cluster;
	uint32_t block;
	uint32_t nr_ops;
	uint32_t clone_every;
	unsigned int depth;
	unsigned int buffered;
	unsigned int nr_clone;
	unsigned int nr_verify;
	unsigned int until;
	bool no_zero;
	bool discard;
	bool read_only;
	bool can_punch;
	bool may_fail;
	uint64_t fail_from;
	uint64_t fail_to;
	struct exec execs[MAX_EXECS];
	unsigned int nr_execs;
};

extern struct options opt;
extern struct model model;

/* What is done follows from the seed; how, also from when things end. */
uint64_t detail(uint64_t below);
void plan_begin(void);
void plan_next(void);

extern uint32_t ticks;
extern int direct_fd, buffered_fd;
void queue_begin(void);
void queue_submit(void);
void issue(uint32_t nr);
void reap(void);
void drain(void);
void compare_all(void);
void queue_summary(void);

void exec_due(uint32_t nr);
void exec_wait_all(void);
void clone_image(void);
void mark_log(void);

#endif
