// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl: attach, inspect and freeze QCOW2 images as block devices
 */
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "qcow2ctl.h"

static const struct command *const commands[] = {
	&attach_command,
	&detach_command,
	&list_command,
	&info_command,
	&freeze_command,
	&thaw_command,
	&resume_command,
	&window_command,
	&snapshot_command,
	&overlay_command,
};

static const struct option main_options[] = { COMMON_LONG };

static const char usage_head[] =
"Usage: qcow2ctl [-v] COMMAND [OPTION...] [ARGUMENT...]\n"
"\n"
"Attach QCOW2 images as block devices /dev/qcow2N and look after them.\n"
"\n"
"Commands:\n";

static const char usage_tail[] =
"\n"
"Options, of every command too:\n"
" -h, --help      this text, or that of the command\n"
" -V, --version   the version\n"
" -v, --verbose   explain on standard error what is done\n"
"\n"
"A device is named /dev/qcow2N, qcow2N, N, or by a symbolic link to it.\n"
"\n"
"Exit status: 0 done, 1 failed, 2 wrong usage; of 'snapshot', 'overlay' and\n"
"'window' also 124: the device stays frozen; 'window' has more of them.\n";

static void main_usage(void)
{
	size_t i;

	fputs(usage_head, stdout);
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		printf(" %-8s  %s\n", commands[i]->name, commands[i]->summary);
	fputs(usage_tail, stdout);
}

/* What was printed must have arrived, or the command has failed. */
static int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	complain("cannot write to standard output: %m");
	return status ? status : EXIT_FAILED;
}

/* Wrong usage: one line that says why, and where to read on. */
int usage_error(const char *fmt, ...)
{
	struct message m;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	complain("%s (see --help)", m.text);
	return EXIT_USAGE;
}

/*
 * Handles an option that is not the command's own. Returns an exit status,
 * or -1 to go on.
 */
int common_option(const struct command *self, int c)
{
	switch (c) {
	case 'h':
		if (self)
			fputs(self->usage, stdout);
		else
			main_usage();
		return EXIT_OK;
	case 'V':
		puts("qcow2ctl " QCOW2CTL_VERSION);
		return EXIT_OK;
	case 'v':
		message_verbose();
		return -1;
	default:
		/* getopt has said what is wrong. */
		return EXIT_USAGE;
	}
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	char name[32];

	message_command(command->name);
	/* What getopt starts its messages with. */
	snprintf(name, sizeof(name), "qcow2ctl: %s", command->name);
	argv[0] = name;
	optind = 0;
	return command->run(command, argc, argv);
}

/*
 * An image must not become one of the standard streams because the caller
 * closed that: messages would be written to it. Reading and writing such a
 * placeholder fails just as if it were not there.
 */
static void occupy_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_PATH);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	static char name[] = "qcow2ctl";
	const struct command *command;
	int c, status;

	occupy_standard_streams();
	setlocale(LC_ALL, "");
	/* A line goes out in one piece, also when several processes write. */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	if (argc)
		argv[0] = name;
	while ((c = getopt_long(argc, argv, "+" COMMON_SHORT, main_options, NULL)) != -1) {
		status = common_option(NULL, c);
		if (status >= 0)
			return finish(status);
	}
	if (optind >= argc)
		return usage_error("no command given");
	command = find_command(argv[optind]);
	if (!command)
		return usage_error("%s: no such command", argv[optind]);
	return finish(run_command(command, argc - optind, argv + optind));
}
