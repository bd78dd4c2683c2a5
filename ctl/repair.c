// SPDX-License-Identifier: GPL-2.0-only
/*
 * Repairs an image that was not closed cleanly, with qemu-img
 *
 * qemu-img gets descriptors instead of names: it works on the very files that
 * were looked at, whatever their names are and whatever these names stand for
 * meanwhile, and follows no name that the image contains.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "progress.h"
#include "repair.h"
#include "run.h"

/* Exit statuses of qemu-img check that are of interest here. */
enum {
	CHECK_CLEAN	= 0,
	CHECK_DAMAGED	= 2,
	CHECK_LEAKS	= 3,
};

/*
 * struct job - one run of qemu-img
 * @spec: the image as qemu-img's argument
 * @image: pins the image
 * @data: pins its data file, -1 if it has none
 * @run: qemu-img
 */
struct job {
	char spec[512];
	int image;
	int data;
	struct run run;
};

static size_t put_file(char *spec, size_t size, const char *key, const struct file *file,
		       int fd)
{
	return snprintf(spec, size,
			",\"%s\":{\"driver\":\"%s\",\"filename\":\"/proc/self/fd/%d\"}", key,
			file->id.blockdev ? "host_device" : "file", fd);
}

/* The backing file is left out: what is to be repaired does not concern it. */
static void put_spec(struct job *job, const struct layer *layer)
{
	static const char start[] = "json:{\"driver\":\"qcow2\",\"backing\":null";
	size_t size = sizeof(job->spec);
	size_t at = sizeof(start) - 1;

	memcpy(job->spec, start, sizeof(start));
	at += put_file(job->spec + at, size - at, "file", &layer->file, job->image);
	if (job->data >= 0)
		at += put_file(job->spec + at, size - at, "data-file", &layer->data,
			       job->data);
	snprintf(job->spec + at, size - at, "}");
}

static void job_close(struct job *job)
{
	if (job->image >= 0)
		close(job->image);
	if (job->data >= 0)
		close(job->data);
}

/* Pins the active layer's files, so that they can be closed. */
static int job_open(struct job *job, const struct layer *layer, struct message *why)
{
	bool data = layer->data.fd >= 0;

	job->image = file_pin(&layer->file);
	job->data = data ? file_pin(&layer->data) : -1;
	if (job->image >= 0 && (!data || job->data >= 0)) {
		put_spec(job, layer);
		return 0;
	}
	message_set(why, "%s: cannot be kept open for its repair: %m", layer->file.path);
	job_close(job);
	return -1;
}

/* Runs qemu-img to its end. Returns 0, or an error number. */
static int job_run(struct job *job, const char *image)
{
	char *argv[] = { "qemu-img", "check", "-q", "-r", "all", job->spec, NULL };
	int error;

	job->run.argv = argv;
	job->run.keep[0] = job->image;
	job->run.keep[1] = job->data;
	step_begin("%s: repairing with " REPAIR_COMMAND, image);
	error = run(&job->run);
	step_end();
	return error;
}

/* What qemu-img said, without the part that only repeats its argument. */
static const char *job_reason(const struct job *job)
{
	struct message intro;
	size_t len;

	message_set(&intro, "qemu-img: Could not open '%s': ", job->spec);
	len = strlen(intro.text);
	return strncmp(job->run.said.text, intro.text, len) ? job->run.said.text :
		job->run.said.text + len;
}

/* Has qemu-img done what it was run for? Returns 0, or -1 with the reason. */
static int judge(const struct job *job, const char *image, int error, struct message *why)
{
	static const char other_way[] = "or attach it read-only (-r)";
	int status = job->run.status;

	if (error == ENOENT)
		message_set(why, "%s: was not closed cleanly, and there is no qemu-img to repair it: install that (package qemu-utils), %s",
			    image, other_way);
	else if (error)
		message_set(why, "%s: was not closed cleanly, and qemu-img cannot be run to repair it (%s): mend that, %s",
			    image, strerror(error), other_way);
	else if (WIFSIGNALED(status))
		message_set(why, "%s: was not closed cleanly, and qemu-img, which was to repair it, was killed by signal %d: try again, %s",
			    image, WTERMSIG(status), other_way);
	else if (WEXITSTATUS(status) == CHECK_DAMAGED)
		message_set(why, "%s: was not closed cleanly, and '" REPAIR_COMMAND "' could not repair all of it: restore it from a copy, %s",
			    image, other_way);
	else if (WEXITSTATUS(status) != CHECK_CLEAN && WEXITSTATUS(status) != CHECK_LEAKS)
		message_set(why, "%s: was not closed cleanly, and '" REPAIR_COMMAND "' failed (%s): mend that, %s",
			    image, job_reason(job), other_way);
	else
		return 0;
	return -1;
}

/* Opens the image again and makes sure that it is the one, and repaired. */
static int open_repaired(struct chain *chain, const char *image, const struct job *job,
			 struct message *why)
{
	if (chain_open(chain, image, false, why))
		return -1;
	if (!file_is(&chain->layers[0].file, job->image))
		message_set(why, "%s: was replaced by another file during its repair: try again",
			    image);
	else if (chain_health(chain) != CHAIN_CLEAN)
		message_set(why, "%s: is marked as not closed cleanly even after '" REPAIR_COMMAND "': restore it from a copy, or attach it read-only (-r)",
			    image);
	else
		return 0;
	chain_close(chain);
	return -1;
}

/* Repairs @image, of which @chain is the open chain. */
static int repair(struct chain *chain, const char *image, struct message *why)
{
	struct job job = { 0 };
	int error, ret;

	if (job_open(&job, &chain->layers[0], why)) {
		chain_close(chain);
		return -1;
	}
	/* qemu-img wants the locks that the open chain holds. */
	chain_close(chain);
	complain("%s: was not closed cleanly: repairing it with " REPAIR_COMMAND, image);
	error = job_run(&job, image);
	ret = judge(&job, image, error, why);
	if (!ret)
		ret = open_repaired(chain, image, &job, why);
	job_close(&job);
	return ret;
}

/*
 * Repairs the active layer of @chain, and opens it anew. Returns 0, or -1 with the
 * reason, and @chain is closed then.
 */
int repair_image(struct chain *chain, struct message *why)
{
	char *image = strdup(chain->layers[0].file.path);
	int ret = -1;

	if (image) {
		ret = repair(chain, image, why);
	} else {
		message_set(why, "out of memory");
		chain_close(chain);
	}
	free(image);
	return ret;
}
