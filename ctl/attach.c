// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl attach: make a device of an image
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "control.h"
#include "device.h"
#include "progress.h"
#include "qcow2ctl.h"
#include "repair.h"
#include "size.h"

static const char attach_usage[] =
"Usage: qcow2ctl attach [OPTION...] IMAGE\n"
"\n"
"Make a block device of the QCOW2 image in file IMAGE and of its backing\n"
"files, and print its name.\n"
"\n"
"Backing files and external data files are followed by plain file name only,\n"
"relative to the file that names them. Backing files must have their format\n"
"(qcow2 or raw) recorded. QEMU takes the name of a data file as relative to the\n"
"working directory: an absolute one suits both.\n"
"\n"
"An image that was not closed cleanly is repaired with 'qemu-img check -r all'\n"
"first, unless it is attached read-only.\n"
"\n"
"Options:\n"
" -r, --read-only         the device is read-only, and so is IMAGE\n"
" -i, --index N           make it /dev/qcow2N, not the first free one\n"
" -c, --cache-size SIZE   bound for the metadata cache (4M, 1.5G, ...), at least\n"
"                         256K; 32M by default\n"
" -n, --no-repair         refuse an image that was not closed cleanly\n"
" -e, --on-enospc WHAT    what writes do when there is no space left for the\n"
"                         image: fail (the default), or park: they wait until\n"
"                         'qcow2ctl resume', or a thaw, tries them again\n"
" -h, --help              this text\n"
" -V, --version           the version\n"
" -v, --verbose           explain on standard error what is done\n"
"\n"
"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static const struct option attach_options[] = {
	{ "read-only", no_argument, NULL, 'r' },
	{ "index", required_argument, NULL, 'i' },
	{ "cache-size", required_argument, NULL, 'c' },
	{ "no-repair", no_argument, NULL, 'n' },
	{ "on-enospc", required_argument, NULL, 'e' },
	COMMON_LONG
};

static int parse_index(const char *text, int *index)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 0 || n > INT_MAX)
		return -1;
	*index = n;
	return 0;
}

static int parse_enospc(const char *text, unsigned int *flags)
{
	*flags &= ~QCOW2_ATTACH_F_PARK;
	if (!strcmp(text, "park"))
		*flags |= QCOW2_ATTACH_F_PARK;
	else if (strcmp(text, "fail"))
		return -1;
	return 0;
}

/* What to do about a refusal, where the driver's words do not tell. */
static const char *attach_advice(int ret)
{
	switch (ret) {
	case -EAGAIN:
	case -EBUSY:
		return ": stop what uses it, then try again";
	case -EEXIST:
		return ": choose another index, or none";
	case -EROFS:
		return ": attach it read-only (-r)";
	default:
		return "";
	}
}

/* The driver starts with the file's full path where it speaks of a file. */
static void complain_refused(const char *image, const char *reason, const char *advice)
{
	if (*reason == '/')
		complain("%s%s", reason, advice);
	else
		complain("%s: %s%s", image, reason, advice);
}

/*
 * A device without a node, or whose name cannot be told, is of no use to the caller.
 * Returns what to say.
 */
static const char *detach_again(struct control *control, int index)
{
	return control_detach(control, index, 0) ? "cannot be detached again" :
						   "detached again";
}

static int wait_for_node(struct control *control, int index)
{
	int ret;

	step_begin(DEVICE_FORMAT ": attached, waiting for the device node", index);
	ret = device_wait(index);
	step_end();
	if (!ret)
		return 0;
	complain(DEVICE_FORMAT ": the device node did not appear, %s: is /dev a devtmpfs?",
		 index, detach_again(control, index));
	return -1;
}

static int print_name(struct control *control, int index)
{
	int error;

	if (printf(DEVICE_FORMAT "\n", index) >= 0 && !fflush(stdout))
		return 0;
	error = errno;
	complain(DEVICE_FORMAT ": the name cannot be written to standard output (%s), %s",
		 index, strerror(error), detach_again(control, index));
	/* That has been said. */
	clearerr(stdout);
	return -1;
}

static int attach_chain(struct control *control, const struct chain *chain,
			struct qcow2_ctl_attach *arg)
{
	struct qcow2_ctl_layer layers[QCOW2_MAX_LAYERS];
	int ret;

	chain_export(chain, layers);
	arg->nr_layers = chain->nr;
	arg->layers = (uintptr_t)layers;
	if (chain->readonly)
		arg->head.flags |= QCOW2_ATTACH_F_READONLY;
	step_begin("%s: attaching, the driver checks its metadata", chain->layers[0].file.path);
	ret = control_call(control, QCOW2_CTL_ATTACH, &arg->head);
	step_end();
	if (ret) {
		complain_refused(chain->layers[0].file.path, control->text, attach_advice(ret));
		return EXIT_FAILED;
	}
	if (wait_for_node(control, arg->index) || print_name(control, arg->index))
		return EXIT_FAILED;
	return EXIT_OK;
}

static bool same_chain(const struct chain *a, const struct chain *b)
{
	unsigned int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++) {
		if (!file_same(&a->layers[i].file, &b->layers[i].file) ||
		    !file_same(&a->layers[i].data, &b->layers[i].data))
			return false;
	}
	return true;
}

/*
 * A thaw follows the chain from the image's full path, which knows nothing of
 * a symbolic link that the image was attached by. Relative names of backing
 * and data files must lead to the same files from there.
 */
static int check_full_path(const struct chain *chain, const char *image, const char *full)
{
	struct message why = { 0 };
	struct chain again;
	int ret = -1;

	/* Was it opened by that just now? */
	if (full && !strcmp(full, chain->layers[0].file.path))
		return 0;
	explain("%s: are the same files found by its full path?", image);
	if (full && !chain_open(&again, full, chain->readonly, &why)) {
		ret = same_chain(chain, &again) ? 0 : -1;
		chain_close(&again);
	}
	if (ret)
		complain("%s: its backing or data files are not found by its full path, %s: attach it by that, or give them absolute names",
			 image, full ? full : "which cannot be told");
	return ret;
}

/* Can the image be written, at least after a repair that is permitted? */
static int check_health(const struct chain *chain, const char *image, bool repair)
{
	switch (chain_health(chain)) {
	case CHAIN_CORRUPT:
		complain("%s: is marked corrupt: attach it read-only (-r), or run '" REPAIR_COMMAND "' on it yourself",
			 image);
		return -1;
	case CHAIN_DIRTY:
		if (repair)
			return 0;
		complain("%s: was not closed cleanly: run '" REPAIR_COMMAND "' on it, or attach it without --no-repair or read-only (-r)",
			 image);
		return -1;
	default:
		return 0;
	}
}

/* @chain may be a new one afterwards, or closed. */
static int attach_healthy(struct control *control, struct chain *chain,
			  struct qcow2_ctl_attach *arg)
{
	struct message why;

	if (chain_health(chain) == CHAIN_DIRTY && repair_image(chain, &why)) {
		complain("%s", why.text);
		return EXIT_FAILED;
	}
	return attach_chain(control, chain, arg);
}

/*
 * Opens the chain by the name @image, as QEMU does; if backing or data files are not
 * there, and it is a symbolic link, by the @full path.
 */
static int open_chain(struct chain *chain, const char *image, const char *full,
		      bool readonly, struct message *why)
{
	int ret = chain_open(chain, image, readonly, why);
	struct message again;

	if (ret != -ENOENT || !full)
		return ret;
	explain("%s: looking by the full path", why->text);
	ret = chain_open(chain, full, readonly, &again);
	/* What is nowhere is said of the name that was given. */
	if (ret && ret != -ENOENT)
		*why = again;
	return ret;
}

/* Opens all of it and makes sure that the device can be made, and thawed later on. */
static int open_image(struct chain *chain, const char *image, bool readonly, bool repair)
{
	char *full = realpath(image, NULL);
	struct message why;
	int ret;

	step_begin("%s: opening it, its backing and data files", image);
	ret = open_chain(chain, image, full, readonly, &why);
	if (ret) {
		complain("%s", why.text);
	} else if (check_full_path(chain, image, full) || check_health(chain, image, repair)) {
		chain_close(chain);
		ret = -EINVAL;
	}
	step_end();
	free(full);
	return ret;
}

static int attach(const char *image, bool readonly, bool repair,
		  struct qcow2_ctl_attach *arg)
{
	struct control control;
	struct message why;
	struct chain chain;
	int status;

	/* What is wrong with the image is of interest without a driver, too. */
	if (open_image(&chain, image, readonly, repair))
		return EXIT_FAILED;
	if (control_open(&control, &why)) {
		complain("%s", why.text);
		status = EXIT_FAILED;
	} else {
		status = attach_healthy(&control, &chain, arg);
		control_close(&control);
	}
	chain_close(&chain);
	return status;
}

static int run_attach(const struct command *self, int argc, char **argv)
{
	struct qcow2_ctl_attach arg = { .index = -1 };
	bool readonly = false, repair = true;
	uint64_t bytes;
	int c, status;

	while ((c = getopt_long(argc, argv, "c:e:i:nr" COMMON_SHORT, attach_options, NULL)) != -1) {
		switch (c) {
		case 'r':
			readonly = true;
			break;
		case 'i':
			if (parse_index(optarg, &arg.index))
				return usage_error("%s: not a device number", optarg);
			break;
		case 'c':
			/* To the driver 0 is the default. */
			if (size_parse(optarg, &bytes) || !bytes)
				return usage_error("%s: not a size", optarg);
			arg.cache_bytes = bytes;
			break;
		case 'n':
			repair = false;
			break;
		case 'e':
			if (parse_enospc(optarg, &arg.head.flags))
				return usage_error("--on-enospc is fail or park, not %s", optarg);
			break;
		default:
			status = common_option(self, c);
			if (status >= 0)
				return status;
		}
	}
	if (optind == argc)
		return usage_error("no image given");
	if (optind + 1 < argc)
		return usage_error("%s: only one image at a time", argv[optind + 1]);
	return attach(argv[optind], readonly, repair, &arg);
}

const struct command attach_command = {
	.name = "attach",
	.summary = "make a device of an image, print its name",
	.usage = attach_usage,
	.run = run_attach,
};
