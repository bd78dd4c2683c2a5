// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs qemu-img
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "run.h"

extern char **environ;

/* Waits for the end of a child. Returns 0 with its wait status, or an error number. */
int wait_for(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

/*
 * Runs @argv, which is qemu-img with its arguments, to its end. It speaks for
 * itself on standard error. Returns 0, or -1 with the reason.
 */
int run_qemu_img(char **argv, struct message *why)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int error, status;
	sigset_t none;
	pid_t pid;

	posix_spawnattr_init(&attr);
	/* Whoever calls this may not want to be interrupted; qemu-img can be. */
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	/* Inherited as ignored it would hide how qemu-img ended. */
	signal(SIGCHLD, SIG_DFL);
	posix_spawn_file_actions_init(&actions);
	/* Standard output is for results of ours. */
	posix_spawn_file_actions_adddup2(&actions, 2, 1);
	error = posix_spawnp(&pid, argv[0], &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (!error)
		error = wait_for(pid, &status);
	if (error) {
		message_set(why, "%s cannot be run: %s%s", argv[0], strerror(error),
			    error == ENOENT ? ": install it (package qemu-utils)" : "");
		return -1;
	}
	if (WIFSIGNALED(status))
		message_set(why, "%s %s was killed by signal %d", argv[0], argv[1],
			    WTERMSIG(status));
	else if (WEXITSTATUS(status))
		message_set(why, "%s %s failed", argv[0], argv[1]);
	else
		return 0;
	return -1;
}
