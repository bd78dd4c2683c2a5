// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs qemu-img
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

extern char **environ;

/* With --verbose, as it could be typed but for quotes. */
static void explain_command(char **argv)
{
	struct message line = { 0 };
	size_t at = 0;

	for (; *argv && at < sizeof(line.text); argv++)
		at += snprintf(line.text + at, sizeof(line.text) - at, " %s", *argv);
	explain("running%s", line.text);
}

/*
 * Standard output is for results of ours, and standard error for lines of ours:
 * both go to @out.
 */
static void put_files(posix_spawn_file_actions_t *actions, const struct run *r, int out)
{
	int i;

	posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(actions, out, STDERR_FILENO);
	/* To itself: this clears close-on-exec, in the child only. */
	for (i = 0; i < RUN_KEPT; i++)
		if (r->keep[i] >= 0)
			posix_spawn_file_actions_adddup2(actions, r->keep[i], r->keep[i]);
}

/* Starts qemu-img with its output going to @out. Returns 0 or an error number. */
static int start(const struct run *r, int out, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int error;

	posix_spawnattr_init(&attr);
	/* Whoever calls this may not want to be interrupted; qemu-img can be. */
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	put_files(&actions, r, out);
	error = posix_spawnp(pid, r->argv[0], &actions, &attr, r->argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Reads all that qemu-img says, to the end. */
static void collect(struct run *r, int from)
{
	FILE *f = fdopen(from, "r");
	char *line = NULL;
	size_t size = 0;

	if (!f) {
		close(from);
		return;
	}
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		explain("%s", line);
		message_set(&r->said, "%s", line);
	}
	free(line);
	fclose(f);
}

/* Runs qemu-img to its end. Returns 0, or an error number if it could not be run. */
int run(struct run *r)
{
	int ends[2], error;
	pid_t pid;

	r->said.text[0] = 0;
	if (pipe2(ends, O_CLOEXEC))
		return errno;
	/* Inherited as ignored it would hide how qemu-img ended. */
	signal(SIGCHLD, SIG_DFL);
	explain_command(r->argv);
	error = start(r, ends[1], &pid);
	close(ends[1]);
	if (error) {
		close(ends[0]);
		return error;
	}
	collect(r, ends[0]);
	while (waitpid(pid, &r->status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

static const char *skip_prefix(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? text : text + len;
}

/*
 * Runs @argv, which is qemu-img with its arguments, to its end. Returns 0, or -1
 * with the reason.
 */
int run_qemu_img(char **argv, struct message *why)
{
	struct run r = { .argv = argv, .keep = { -1, -1 } };
	int error = run(&r);

	if (error)
		message_set(why, "%s cannot be run: %s%s", argv[0], strerror(error),
			    error == ENOENT ? ": install it (package qemu-utils)" : "");
	else if (WIFSIGNALED(r.status))
		message_set(why, "%s %s was killed by signal %d", argv[0], argv[1],
			    WTERMSIG(r.status));
	else if (WEXITSTATUS(r.status))
		message_set(why, "%s %s failed: %s", argv[0], argv[1],
			    skip_prefix(r.said.text, "qemu-img: "));
	else
		return 0;
	return -1;
}
