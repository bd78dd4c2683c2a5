// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl window: freeze, run a command, thaw whatever happens
 *
 * Between freeze and thaw nothing may end this process that it can avoid:
 * signals are taken one by one and passed on to COMMAND, whose end is the
 * end of the window.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "device.h"
#include "freeze.h"
#include "qcow2ctl.h"

static const char window_usage[] =
"Usage: qcow2ctl window [OPTION...] DEV [--] COMMAND [ARG...]\n"
"\n"
"Freeze DEV, run COMMAND, and thaw DEV however COMMAND ends. Signals to\n"
"qcow2ctl are passed on to COMMAND. What COMMAND does on a file system on\n"
"DEV itself would wait for the end of the window.\n"
"\n"
"Options:\n"
FREEZE_USAGE
" -h, --help              this text\n"
" -V, --version           the version\n"
" -v, --verbose           explain on standard error what is done\n"
"\n"
"When the time of --timeout is over COMMAND is ended, by SIGTERM and two seconds\n"
"later by SIGKILL.\n"
"\n"
"Environment of COMMAND:\n"
" QCOW2_DEVICE   the device, /dev/qcow2N\n"
" QCOW2_IMAGE    the file that is its active layer\n"
"\n"
"Exit status: that of COMMAND (128+N if signal N killed it, or came before it\n"
"could be run), or\n"
"   2   wrong usage\n"
" 124   the device could not be thawed and STAYS FROZEN, or has failed as asked\n"
"       for by --on-timeout, whatever COMMAND's status was: mend the image, then\n"
"       'qcow2ctl thaw DEV'\n"
" 125   the device could not be frozen; COMMAND was not run\n"
" 126   COMMAND could not be executed (DEV was thawed)\n"
" 127   COMMAND was not found (DEV was thawed)\n"
"If SIGKILL ends qcow2ctl itself the device stays frozen until it is thawed, or\n"
"the time is over.\n";

static const struct option window_options[] = { FREEZE_LONG, COMMON_LONG };

/* For COMMAND to end when it is told to. */
#define GRACE_SECONDS	2

/* While freezing these are noted, so that a user may change their mind. */
static const int noted_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

#define NR_NOTED	(sizeof(noted_signals) / sizeof(*noted_signals))

static volatile sig_atomic_t noted;

/*
 * struct signals - the signals' ways before, to give back to COMMAND
 * @passed: those that are passed on, blocked meanwhile
 * @mask: the mask before
 * @action: of noted_signals, before
 * @pipe: of SIGPIPE, before
 */
struct signals {
	sigset_t passed;
	sigset_t mask;
	struct sigaction action[NR_NOTED];
	struct sigaction pipe;
};

static void note_signal(int sig)
{
	noted = sig;
}

/* All signals but those of a fault in here and those of job control. */
static void passed_signals(sigset_t *set)
{
	static const int kept[] = {
		SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP,
		SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU,
	};
	size_t i;

	sigfillset(set);
	for (i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		sigdelset(set, kept[i]);
}

static void signals_prepare(struct signals *s)
{
	const struct sigaction note = { .sa_handler = note_signal };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t rest;
	size_t i;

	for (i = 0; i < NR_NOTED; i++) {
		sigaction(noted_signals[i], NULL, &s->action[i]);
		if (s->action[i].sa_handler != SIG_IGN)
			sigaction(noted_signals[i], &note, NULL);
	}
	/* A message that nobody reads must not cost the thaw. */
	sigaction(SIGPIPE, &ignore, &s->pipe);
	/* Inherited as ignored it would hide how COMMAND ended. */
	sigaction(SIGCHLD, &dfl, NULL);
	sigprocmask(SIG_SETMASK, NULL, &s->mask);
	passed_signals(&s->passed);
	/* Whatever else would end us must not do so between freeze and thaw. */
	rest = s->passed;
	for (i = 0; i < NR_NOTED; i++)
		sigdelset(&rest, noted_signals[i]);
	sigprocmask(SIG_BLOCK, &rest, NULL);
}

static void signals_block(const struct signals *s)
{
	sigprocmask(SIG_BLOCK, &s->passed, NULL);
}

/* In the child: as if qcow2ctl had never been there. */
static void signals_restore(const struct signals *s)
{
	size_t i;

	for (i = 0; i < NR_NOTED; i++)
		sigaction(noted_signals[i], &s->action[i], NULL);
	sigaction(SIGPIPE, &s->pipe, NULL);
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

static void exec_command(char **command, const struct signals *s)
{
	int error;

	signals_restore(s);
	execvp(command[0], command);
	error = errno;
	if (error == ENOENT) {
		complain("%s: command not found", command[0]);
		_exit(EXIT_NOT_FOUND);
	}
	complain("%s: cannot be executed: %s", command[0], strerror(error));
	_exit(EXIT_NOT_EXEC);
}

/*
 * struct deadline - when COMMAND is to end
 * @set: at all
 * @at: of CLOCK_MONOTONIC
 * @sig: what is sent then
 */
struct deadline {
	bool set;
	struct timespec at;
	int sig;
};

static void deadline_set(struct deadline *d, unsigned int seconds, int sig)
{
	d->set = seconds;
	d->sig = sig;
	clock_gettime(CLOCK_MONOTONIC, &d->at);
	d->at.tv_sec += seconds;
}

/* What is left of it; nothing at all when it has passed. */
static struct timespec deadline_left(const struct deadline *d)
{
	struct timespec now, left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left.tv_sec = d->at.tv_sec - now.tv_sec;
	left.tv_nsec = d->at.tv_nsec - now.tv_nsec;
	if (left.tv_nsec < 0) {
		left.tv_nsec += 1000000000;
		left.tv_sec--;
	}
	if (left.tv_sec < 0)
		left = (struct timespec){ 0 };
	return left;
}

/* Returns the next signal, or 0 if the deadline has passed; or -1. */
static int next_signal(const struct signals *s, const struct deadline *d, siginfo_t *si)
{
	struct timespec left;
	int sig;

	if (!d->set)
		return sigwaitinfo(&s->passed, si);
	left = deadline_left(d);
	sig = sigtimedwait(&s->passed, si, &left);
	return sig < 0 && errno == EAGAIN ? 0 : sig;
}

/*
 * Waits for the end of @pid. What the terminal sends COMMAND gets itself;
 * what a process sent to us alone is passed on.
 */
static int wait_command(pid_t pid, const struct signals *s, unsigned int seconds,
			bool *expired)
{
	struct deadline deadline;
	siginfo_t si;
	int status, sig;

	deadline_set(&deadline, seconds, SIGTERM);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		sig = next_signal(s, &deadline, &si);
		if (!sig) {
			explain("the time is over: sending signal %d", deadline.sig);
			kill(pid, deadline.sig);
			*expired = true;
			deadline_set(&deadline, GRACE_SECONDS, SIGKILL);
			continue;
		}
		if (sig < 0 || sig == SIGCHLD)
			continue;
		if (si.si_code <= 0) {
			explain("passing on signal %d", sig);
			kill(pid, sig);
		}
	}
	return status;
}

/* Returns the exit status that COMMAND leads to. */
static int run_command(char **command, const struct signals *s, unsigned int seconds,
		       bool *expired)
{
	int status;
	pid_t pid;

	explain("running %s", command[0]);
	pid = fork();
	if (pid < 0) {
		complain("%s: cannot be run: %m", command[0]);
		return EXIT_NOT_EXEC;
	}
	if (!pid)
		exec_command(command, s);
	status = wait_command(pid, s, seconds, expired);
	if (WIFSIGNALED(status)) {
		explain("%s: killed by signal %d", command[0], WTERMSIG(status));
		return EXIT_SIGNAL + WTERMSIG(status);
	}
	explain("%s: exited with %d", command[0], WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

static bool device_is(struct control *control, int index, unsigned int state)
{
	struct qcow2_ctl_info info = { .index = index };
	char path[QCOW2_PATH_MAX];

	return !control_info(control, &info, path) && info.state == state;
}

/* In the window: another one may have ended just before, with another image. */
static int set_environment(struct control *control, int index)
{
	struct qcow2_ctl_info info = { .index = index };
	char path[QCOW2_PATH_MAX], device[32];

	if (control_info(control, &info, path)) {
		complain(DEVICE_FORMAT ": %s", index, control->text);
		return -1;
	}
	snprintf(device, sizeof(device), DEVICE_FORMAT, index);
	if (setenv("QCOW2_DEVICE", device, 1) || setenv("QCOW2_IMAGE", path, 1)) {
		complain("out of memory");
		return -1;
	}
	return 0;
}

/*
 * The device was to fail when its time was over, and so it has, or is about to:
 * COMMAND was @expired at the same moment.
 */
static bool has_failed(struct control *control, int index, bool expired)
{
	unsigned int tries;

	for (tries = 0; ; tries++) {
		if (device_is(control, index, QCOW2_STATE_FAILED))
			return true;
		if (!expired || tries == DEVICE_RETRIES)
			return false;
		device_pause();
	}
}

static int window(struct control *control, int index, const struct freeze_how *how,
		  char **command)
{
	unsigned int grace_ms = how->fails ? 0 : GRACE_SECONDS * 1000 + THAW_GRACE_MS;
	struct thaw_how thaw = { .timed = how->seconds };
	struct signals signals;
	bool expired = false;
	struct message why;
	int ret, status;

	signals_prepare(&signals);
	ret = device_freeze(control, index, how, grace_ms, &thaw.window, &why);
	signals_block(&signals);
	if (ret == -EINTR && noted)
		return EXIT_SIGNAL + noted;
	if (ret) {
		complain("%s", why.text);
		return EXIT_NOT_RUN;
	}
	if (noted)
		status = EXIT_SIGNAL + noted;
	else if (set_environment(control, index))
		status = EXIT_NOT_RUN;
	else
		status = run_command(command, &signals, how->seconds, &expired);
	if (how->fails && has_failed(control, index, expired)) {
		complain(DEVICE_FORMAT ": its time was over, and all I/O fails: 'qcow2ctl thaw " DEVICE_FORMAT "' makes it live again (COMMAND's status was %d)",
			 index, index, status);
		return EXIT_FROZEN;
	}
	return end_window(control, index, &thaw, status);
}

static int run_window(const struct command *self, int argc, char **argv)
{
	struct freeze_how how = { 0 };
	int c, index, status;
	struct control control;
	char **command;

	while ((c = getopt_long(argc, argv, "+" FREEZE_SHORT COMMON_SHORT, window_options,
				NULL)) != -1) {
		status = freeze_option(&how, c);
		if (status == -2)
			status = common_option(self, c);
		if (status >= 0)
			return status;
	}
	status = freeze_check(&how);
	if (status >= 0)
		return status;
	if (optind == argc)
		return usage_error("no device given");
	command = argv + optind + 1;
	if (*command && !strcmp(*command, "--"))
		command++;
	if (!*command)
		return usage_error("no command given");
	if (device_open(argv[optind], &control, &index))
		return EXIT_NOT_RUN;
	status = window(&control, index, &how, command);
	control_close(&control);
	return status;
}

const struct command window_command = {
	.name = "window",
	.summary = "freeze, run a command, thaw whatever happens",
	.usage = window_usage,
	.run = run_window,
};
