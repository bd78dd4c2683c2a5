// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages: one line each on standard error, whatever the names in them
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "message.h"
#include "progress.h"

static const char *command_name;
static bool verbose;

void message_command(const char *name)
{
	command_name = name;
}

void message_verbose(void)
{
	verbose = true;
}

void message_set(struct message *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->text, sizeof(m->text), fmt, ap);
	va_end(ap);
}

/*
 * File names come from strangers: a newline in one must not end the line,
 * an escape sequence must not reach the terminal.
 */
void fputs_escaped(const char *text, FILE *f)
{
	size_t left = strlen(text);
	mbstate_t state = { 0 };
	wchar_t wc;
	size_t n;

	while (left) {
		n = mbrtowc(&wc, text, left, &state);
		if (n <= left && iswprint(wc)) {
			fwrite(text, 1, n, f);
		} else {
			if (*text == '\n')
				fputs("\\n", f);
			else if (*text == '\t')
				fputs("\\t", f);
			else
				fprintf(f, "\\x%02x", (unsigned char)*text);
			memset(&state, 0, sizeof(state));
			n = 1;
		}
		text += n;
		left -= n;
	}
}

/* What a line of ours is: escaped, with what speaks before it. To be freed. */
char *message_line(const char *text)
{
	char *line = NULL;
	size_t size;
	FILE *f = open_memstream(&line, &size);

	if (!f)
		return NULL;
	fputs("qcow2ctl: ", f);
	if (command_name)
		fprintf(f, "%s: ", command_name);
	fputs_escaped(text, f);
	if (!fclose(f))
		return line;
	free(line);
	return NULL;
}

static __printf(1, 0) void print_line(const char *fmt, va_list ap)
{
	char *text, *line;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	line = text ? message_line(text) : NULL;
	progress_pause();
	fprintf(stderr, "%s\n", line ? line : "qcow2ctl: out of memory");
	progress_continue();
	free(line);
	free(text);
}

/* Says what failed. Nothing else writes to standard error unless asked to. */
void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_line(fmt, ap);
	va_end(ap);
}

/* Says what is being done, with --verbose. */
void explain(const char *fmt, ...)
{
	va_list ap;

	if (!verbose)
		return;
	va_start(ap, fmt);
	print_line(fmt, ap);
	va_end(ap);
}
