// SPDX-License-Identifier: GPL-2.0-only
/*
 * kill_ctl: kill qcow2ctl with SIGKILL, at a random time or between two of its
 * system calls, and see what that leaves behind: the device is there and works,
 * or is not there, and the plain command, given again, does what it is for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096
#define INDEX		"7"
#define DEVICE		"/dev/qcow2" INDEX
#define STATE		"/sys/block/qcow2" INDEX "/qcow2/state"

/* Tries of a command that may have to wait for what a killed one has left. */
#define TRIES		20

/* Microseconds that a command takes, if it is not measured yet. */
#define GUESS_US	100000

/*
 * struct command - one that is killed
 * @argv: its words; "IMAGE" stands for the image
 * @before: the state that it needs, "" for no device
 * @after: the state that it leads to
 * @us: how long it took, a running maximum
 * @calls: how many system calls it makes
 */
struct command {
	const char *argv[12];
	const char *before;
	const char *after;
	unsigned int us;
	unsigned int calls;
};

static struct command commands[] = {
	{ { "qcow2ctl", "attach", "-i", INDEX, "IMAGE" }, "", "live" },
	{ { "qcow2ctl", "freeze", DEVICE }, "live", "frozen" },
	{ { "qcow2ctl", "thaw", DEVICE }, "frozen", "live" },
	{ { "qcow2ctl", "window", DEVICE, "--", "qemu-img", "snapshot", "-c", "s", "IMAGE" },
	  "live", "live" },
	{ { "qcow2ctl", "window", DEVICE, "--", "true" }, "live", "live" },
	{ { "qcow2ctl", "detach", DEVICE }, "live", "" },
	{ { "qcow2ctl", "detach", DEVICE }, "frozen", "" },
	{ { "qcow2ctl", "detach", "-f", DEVICE }, "live", "" },
	{ { "qcow2ctl", "detach", "-d", DEVICE }, "live", "" },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(*commands))

static struct command *const attach = &commands[0];
static struct command *const freeze = &commands[1];
static struct command *const thaw = &commands[2];
static struct command *const detach = &commands[5];

static const char *image;
static uint8_t *block, *back;
static unsigned int seed, round_nr;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *fmt, ...)
{
	va_list ap;

	printf("kill_ctl: round %u: ", round_nr);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	exit(1);
}

static unsigned int below(unsigned int n)
{
	return rand_r(&seed) % n;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static void pause_us(unsigned int us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000l };

	nanosleep(&ts, NULL);
}

/* The device's state, "" if there is none. */
static const char *state(void)
{
	static char text[32];
	ssize_t n = -1;
	int fd;

	fd = open(STATE, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n - 1 : 0] = 0;
	return text;
}

static bool is(const char *want)
{
	return !strcmp(state(), want);
}

static pid_t start(const struct command *command, bool trace, bool quiet)
{
	const char *argv[12];
	pid_t pid;
	int fd, i;

	for (i = 0; i < 12; i++) {
		argv[i] = command->argv[i];
		if (argv[i] && !strcmp(argv[i], "IMAGE"))
			argv[i] = image;
	}
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid)
		return pid;
	fd = open("/dev/null", O_RDWR);
	dup2(fd, STDOUT_FILENO);
	if (quiet)
		dup2(fd, STDERR_FILENO);
	else
		dup2(STDOUT_FILENO, fd);
	if (trace)
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	execvp(argv[0], (char **)argv);
	_exit(127);
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid: %s", strerror(errno));
	return status;
}

/* Let the command do what it is for. */
static void do_command(struct command *command)
{
	int status = -1, i;

	for (i = 0; i < TRIES && status; i++) {
		if (i)
			pause_us(200000);
		status = wait_for(start(command, false, i < TRIES - 1));
	}
	if (status)
		die("%s %s: status 0x%x, the device is '%s'", command->argv[1],
		    command->argv[2], status, state());
	if (!is(command->after))
		die("%s: the device is '%s', not '%s'", command->argv[1], state(),
		    command->after);
}

/* Kill it after some time. */
static void kill_in_time(struct command *command)
{
	unsigned int us = below(command->us ? command->us + command->us / 8 : GUESS_US);
	uint64_t began = now_us();
	pid_t pid = start(command, false, true);

	pause_us(us);
	kill(pid, SIGKILL);
	if (WIFSIGNALED(wait_for(pid)))
		return;
	us = now_us() - began;
	if (us > command->us)
		command->us = us;
}

/* Kill it when it enters or leaves its so manieth system call. */
static void kill_at_call(struct command *command)
{
	unsigned int stop = below(command->calls ? 2 * command->calls : 200);
	pid_t pid = start(command, true, true);
	unsigned int i;
	int status;

	/* Stopped by exec. */
	status = wait_for(pid);
	for (i = 0; i < stop && WIFSTOPPED(status); i++) {
		int signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);

		ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(uintptr_t)signal);
		status = wait_for(pid);
	}
	if (!WIFSTOPPED(status)) {
		command->calls = i / 2;
		return;
	}
	kill(pid, SIGKILL);
	while (WIFSTOPPED(status))
		status = wait_for(pid);
}

/* A live device takes what is written, and has it. */
static void check_works(void)
{
	int fd = open(DEVICE, O_RDWR | O_DIRECT | O_CLOEXEC);
	off_t off = (off_t)below(64) * 65536 + below(16) * BLOCK;

	if (fd < 0)
		die(DEVICE ": %s", strerror(errno));
	memset(block, round_nr, BLOCK);
	if (pwrite(fd, block, BLOCK, off) != BLOCK)
		die("write: %s", strerror(errno));
	if (pread(fd, back, BLOCK, off) != BLOCK || memcmp(block, back, BLOCK))
		die("read: %s", strerror(errno));
	close(fd);
}

/* Make the device what the next command needs. */
static void prepare(const char *want)
{
	if (is("frozen") && strcmp(want, "frozen"))
		do_command(thaw);
	if (is("") && *want)
		do_command(attach);
	if (is("live") && !*want)
		do_command(detach);
	if (is("live") && !strcmp(want, "frozen"))
		do_command(freeze);
	if (!is(want))
		die("the device is '%s', not '%s'", state(), want);
}

static void one_round(struct command *command)
{
	prepare(command->before);
	if (round_nr & 1)
		kill_in_time(command);
	else
		kill_at_call(command);
	/* Windows leave the device frozen, all others one of the two. */
	if (!is(command->before) && !is(command->after) && !is("frozen"))
		die("%s: killed, the device is '%s'", command->argv[1], state());
	if (is("frozen"))
		do_command(thaw);
	if (is("live"))
		check_works();
}

int main(int argc, char **argv)
{
	unsigned int rounds;

	if (argc != 4) {
		fprintf(stderr, "usage: kill_ctl IMAGE ROUNDS SEED\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	image = argv[1];
	rounds = strtoul(argv[2], NULL, 0);
	seed = strtoul(argv[3], NULL, 0);
	block = aligned_alloc(BLOCK, BLOCK);
	back = aligned_alloc(BLOCK, BLOCK);
	if (!block || !back)
		die("no memory");
	for (round_nr = 0; round_nr < rounds; round_nr++)
		one_round(&commands[below(NR_COMMANDS)]);
	prepare("");
	return 0;
}
