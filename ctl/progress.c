// SPDX-License-Identifier: GPL-2.0-only
/*
 * Progress: what takes longer than a second is shown while it lasts
 *
 * Only on a terminal, in a line that is gone afterwards. Most of the time is
 * spent in one call of the driver, which must not be interrupted: so a thread
 * of its own looks at the clock.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

/* For what follows the text: ", 123456 s". */
#define CLOCK_WIDTH	12

/* Back to the start of the line, which is then empty. */
#define ERASE	"\r\033[K"

/*
 * struct step - what is being done
 * @running: the thread exists
 * @text: what is shown
 * @start: when it began
 * @lock: for what follows, and for writing to the terminal
 * @ended: wakes the thread
 * @over: the thread is to end
 * @shown: the terminal's line has our text
 */
static struct step {
	bool running;
	char *text;
	struct timespec start;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool over;
	bool shown;
} step = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Somebody who can see a line come and go? */
static bool is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb");
}

/* A job in the background leaves the terminal alone. */
static bool in_foreground(void)
{
	return tcgetpgrp(STDERR_FILENO) == getpgrp();
}

/* How much of the text is shown: no line may be wider than the terminal. */
static int text_width(void)
{
	int len = strlen(step.text);
	struct winsize ws;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) || ws.ws_col <= CLOCK_WIDTH)
		return len;
	if (len <= ws.ws_col - CLOCK_WIDTH)
		return len;
	len = ws.ws_col - CLOCK_WIDTH;
	/* Not in the middle of a character. */
	while (len && (step.text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

static void show(unsigned int seconds)
{
	if (!in_foreground())
		return;
	fprintf(stderr, ERASE "%.*s, %u s", text_width(), step.text, seconds);
	fflush(stderr);
	step.shown = true;
}

static void hide(void)
{
	if (!step.shown)
		return;
	fputs(ERASE, stderr);
	fflush(stderr);
	step.shown = false;
}

static void *watch(void *unused)
{
	struct timespec next = step.start;
	unsigned int seconds = 0;

	pthread_mutex_lock(&step.lock);
	for (;;) {
		next.tv_sec++;
		seconds++;
		while (!step.over &&
		       pthread_cond_timedwait(&step.ended, &step.lock, &next) != ETIMEDOUT)
			;
		if (step.over)
			break;
		show(seconds);
	}
	pthread_mutex_unlock(&step.lock);
	return unused;
}

/* Signals are for the thread that does the work. */
static int start_thread(void)
{
	pthread_condattr_t attr;
	sigset_t all, before;
	int ret;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&step.ended, &attr);
	pthread_condattr_destroy(&attr);
	clock_gettime(CLOCK_MONOTONIC, &step.start);
	step.over = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&step.thread, NULL, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

/*
 * Says what is being done from here on until step_end(): at once with --verbose,
 * after a second on a terminal.
 */
void step_begin(const char *fmt, ...)
{
	struct message what;
	va_list ap;

	step_end();
	va_start(ap, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	explain("%s", what.text);
	if (!is_terminal())
		return;
	step.text = message_line(what.text);
	step.running = step.text && !start_thread();
}

void step_end(void)
{
	if (step.running) {
		pthread_mutex_lock(&step.lock);
		step.over = true;
		pthread_cond_signal(&step.ended);
		pthread_mutex_unlock(&step.lock);
		pthread_join(step.thread, NULL);
		pthread_cond_destroy(&step.ended);
		hide();
		step.running = false;
	}
	free(step.text);
	step.text = NULL;
}

/* What is written to the terminal between these two is not mixed with ours. */
void progress_pause(void)
{
	pthread_mutex_lock(&step.lock);
	hide();
}

void progress_continue(void)
{
	pthread_mutex_unlock(&step.lock);
}
