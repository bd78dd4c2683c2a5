// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens beside diff_io's operations: commands, windows, copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diff_io.h"

static void wait_for(pid_t pid, const char *command)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("command failed (status 0x%x): %s", status, command);
}

static void exec_wait(struct exec *exec)
{
	if (!exec->pid)
		return;
	wait_for(exec->pid, exec->command);
	exec->pid = 0;
}

void exec_wait_all(void)
{
	unsigned int i;

	for (i = 0; i < opt.nr_execs; i++)
		exec_wait(&opt.execs[i]);
}

static void freeze(void)
{
	char *argv[] = { "qcow2ctl", "freeze", (char *)opt.dev, NULL };
	pid_t pid;
	int ret;

	ret = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (ret)
		die("qcow2ctl: %s", strerror(ret));
	wait_for(pid, "qcow2ctl freeze");
}

/*
 * What the page cache holds would outlive a change of the content: that is so
 * with every block device whose content changes by itself.
 */
static void drop_cache(void)
{
	if (opt.buffered && ioctl(direct_fd, BLKFLSBUF, 0))
		die("BLKFLSBUF: %s", strerror(errno));
}

static void window_begin(struct exec *exec)
{
	drain();
	drop_cache();
	if (exec->save)
		model_save(&model, exec->save);
	freeze();
	if (exec->load)
		model_load(&model, exec->load);
}

static void exec_start(struct exec *exec)
{
	char *argv[] = { "sh", "-c", (char *)exec->command, NULL };
	int ret;

	queue_submit();
	ret = posix_spawn(&exec->pid, "/bin/sh", NULL, NULL, argv, environ);
	if (ret)
		die("sh: %s", strerror(ret));
}

/* Start what is to be started before operation @nr. */
void exec_due(uint32_t nr)
{
	unsigned int i;

	for (i = 0; i < opt.nr_execs; i++) {
		if (opt.execs[i].at != nr)
			continue;
		/* Only one window at a time. */
		exec_wait_all();
		if (opt.execs[i].window)
			window_begin(&opt.execs[i]);
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
	queue_submit();
	if (opt.nr_clone % 2)
		while (!model.ops[nr].ended)
			reap();
	else
		usleep(detail(6000));
}

/* As the file is at this moment, by the file system's own means. */
void clone_image(void)
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


/*
 * Have dm-log-writes note how far we are: what has ended by now has done so before
 * what its log has from here on.
 */
void mark_log(void)
{
	struct {
		struct dm_ioctl dm;
		struct dm_target_msg msg;
		char text[32];
	} arg = {
		.dm = {
			.version = { DM_VERSION_MAJOR, 0, 0 },
			.data_size = sizeof(arg),
			.data_start = offsetof(typeof(arg), msg),
		},
	};
	static int control = -1;
	struct op *op;

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	snprintf(arg.dm.name, sizeof(arg.dm.name), "%s", opt.mark);
	snprintf(arg.msg.message, sizeof(arg.text), "mark c%u", opt.nr_clone++);
	op = model_add(&model, OP_CLONE, 0, 0);
	op->issued = ++ticks;
	if (ioctl(control, DM_TARGET_MSG, &arg))
		die("cannot mark the log of %s: %s", opt.mark, strerror(errno));
	op->ended = ++ticks;
}
