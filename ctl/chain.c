// SPDX-License-Identifier: GPL-2.0-only
/*
 * The chain: opens an image, all of its backing files and their data files
 *
 * The kernel opens no path. Names are followed here, and only plain file
 * names with a recorded format: what an image says about other files is
 * its author's wish, not the administrator's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"
#include "header.h"
#include "lock.h"

/* First read, and alignment of every read: fit for any O_DIRECT. */
#define READ_UNIT	65536u

static int no_memory(struct message *why)
{
	message_set(why, "out of memory");
	return -EINVAL;
}

static const char *last_path(const struct chain *chain)
{
	return chain->nr ? chain->layers[chain->nr - 1].file.path : NULL;
}

/* The active layer is the only one ever written, its data file included. */
static bool is_written(const struct chain *chain, unsigned int nr)
{
	return !nr && !chain->readonly;
}

static int check_depth(struct message *why, const struct chain *chain,
		       const struct subject *s)
{
	if (chain->nr < QCOW2_MAX_LAYERS)
		return 0;
	return subject_fail(why, s, "shorten the chain with 'qemu-img rebase' or 'commit'",
			    "one layer too many, the limit is %d", QCOW2_MAX_LAYERS);
}

/* Each file has one place in the chain only. */
static int check_twice(struct message *why, const struct chain *chain,
		       const struct file *file, const struct subject *s)
{
	const struct layer *layer;

	for (layer = chain->layers; layer < chain->layers + chain->nr; layer++) {
		if (file_same(&layer->data, file))
			return subject_fail(why, s, s->role->correct,
					    "is the data file of %s already",
					    layer->file.path);
		if (!file_same(&layer->file, file))
			continue;
		if (s->role == &data_role)
			return subject_fail(why, s, s->role->correct,
					    "is itself an image of the chain");
		return subject_fail(why, s, s->role->correct,
				    "comes twice, the chain of backing files is a loop");
	}
	return 0;
}

static int check_lock(struct message *why, const struct file *file,
		      const struct subject *s)
{
	int ret = lock_against_writers(file->fd);

	if (ret)
		subject_fail(why, s, "stop that first",
			     "locked by a process that writes to it (a virtual machine, qemu-img, another qcow2 device)");
	return ret;
}

/*
 * Opens and locks the file that @s is about. Takes over its path in any
 * case. Returns 0, -EAGAIN if it is locked, or what file_open() has returned.
 */
static int open_locked(const struct chain *chain, struct file *file,
		       const struct subject *s, bool writing, struct message *why)
{
	/* Not yet in its place: it would be found to be there already. */
	struct file opened;
	int ret;

	ret = file_open(&opened, s, writing, why);
	if (ret) {
		free(s->path);
		return ret;
	}
	ret = check_twice(why, chain, &opened, s);
	if (!ret)
		ret = check_lock(why, &opened, s);
	if (ret)
		file_close(&opened);
	else
		*file = opened;
	return ret;
}

static void explain_opened(const struct file *file, const char *what, unsigned int nr,
			   const char *format)
{
	int flags = fcntl(file->fd, F_GETFL);

	explain("%s: opened as %s %u, %s, %s, %s I/O", file->path, what, nr, format,
		(flags & O_ACCMODE) == O_RDWR ? "read-write" : "read-only",
		flags & O_DIRECT ? "direct" : "buffered");
}

/*
 * Opens @path and makes it the last layer. Takes over @path in any case.
 * Returns 1, for one layer more, or a negative error.
 */
static int add_layer(struct chain *chain, char *path, unsigned int format,
		     struct message *why)
{
	const struct subject s = { path, &backing_role, last_path(chain) };
	struct layer layer = { .format = format, .data.fd = -1 };
	int ret;

	ret = check_depth(why, chain, &s);
	if (ret) {
		free(path);
		return ret;
	}
	ret = open_locked(chain, &layer.file, &s, is_written(chain, chain->nr), why);
	if (ret)
		return ret;
	explain_opened(&layer.file, "layer", chain->nr,
		       format == QCOW2_FORMAT_QCOW2 ? "qcow2" : "raw");
	chain->layers[chain->nr++] = layer;
	return 1;
}

/* Reads up to @len bytes, a multiple of READ_UNIT, from the start of @fd. */
static ssize_t read_start(int fd, unsigned char *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, buf + done, len - done, done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += n;
		/* At the end; direct I/O could not go on from an odd place. */
		if (!n || done % 4096)
			break;
	}
	return done;
}

static enum header_result read_header(int fd, unsigned char *buf, struct header *h,
				      struct message *why, ssize_t *got)
{
	enum header_result res;
	size_t want;

	*got = read_start(fd, buf, READ_UNIT);
	if (*got < 0)
		return HEADER_BAD;
	res = header_parse(buf, *got, h, why);
	if (res != HEADER_OK)
		return res;
	want = header_extent(h);
	if (want > READ_UNIT) {
		*got = read_start(fd, buf, (want + READ_UNIT - 1) & ~(size_t)(READ_UNIT - 1));
		if (*got < 0)
			return HEADER_BAD;
	}
	return header_parse_names(buf, *got, h, why);
}

static int foreign_fail(struct message *why, const struct subject *s,
			const unsigned char *buf, size_t len)
{
	const char *looks = foreign_format(buf, len);
	const char *advice = s->parent ? "record its real format with 'qemu-img rebase -u -F'" :
		"a raw image is for losetup, others can be converted with 'qemu-img convert'";

	if (!len)
		return subject_fail(why, s, NULL, "is empty, not a QCOW2 image");
	if (!looks)
		return subject_fail(why, s, advice,
				    "is not a QCOW2 image, but raw or something unknown");
	return subject_fail(why, s, advice, "is not a QCOW2 image, it looks like %s",
			    looks);
}

/* Parses the header of the last layer. */
static int layer_header(const struct chain *chain, struct header *h, struct message *why)
{
	const struct layer *layer = &chain->layers[chain->nr - 1];
	const struct subject s = {
		.path = layer->file.path,
		.role = &backing_role,
		.parent = chain->nr > 1 ? layer[-1].file.path : NULL,
	};
	enum header_result res;
	struct message reason;
	unsigned char *buf;
	ssize_t got;
	int ret = 0;

	buf = aligned_alloc(READ_UNIT, HEADER_CLUSTER_MAX);
	if (!buf)
		return no_memory(why);
	res = read_header(layer->file.fd, buf, h, &reason, &got);
	if (got < 0)
		ret = subject_fail(why, &s, NULL, "cannot be read: %m");
	else if (res == HEADER_FOREIGN)
		ret = foreign_fail(why, &s, buf, got);
	else if (res == HEADER_BAD)
		ret = subject_fail(why, &s, "restore it from a copy", "%s", reason.text);
	free(buf);
	return ret;
}

/* As QEMU does: a colon before the first slash ends a protocol's name. */
static bool has_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

/* As QEMU does: relative to the directory of the name that was used. */
static char *resolve(const char *parent, const char *name)
{
	const char *slash = strrchr(parent, '/');
	char *path;

	if (*name == '/' || !slash)
		return strdup(name);
	if (asprintf(&path, "%.*s/%s", (int)(slash - parent), parent, name) < 0)
		return NULL;
	return path;
}

/* Composes "PATH: its backing file NAME what is wrong: what to do". */
static __printf(5, 6) int name_fail(struct message *why, const struct layer *layer,
				    const struct role *role, const char *name,
				    const char *fmt, ...)
{
	struct message what;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	message_set(why, "%s: its %s %s %s", layer->file.path, role->name, name, what.text);
	return -EINVAL;
}

/* Returns the recorded format, or -EINVAL. Nothing is ever guessed. */
static int backing_format(const struct layer *layer, const struct header *h,
			  struct message *why)
{
	if (!strcmp(h->backing_format, "qcow2"))
		return QCOW2_FORMAT_QCOW2;
	if (!strcmp(h->backing_format, "raw"))
		return QCOW2_FORMAT_RAW;
	if (*h->backing_format)
		return name_fail(why, layer, &backing_role, h->backing,
				 "has format '%s', not qcow2 or raw: convert it",
				 h->backing_format);
	return name_fail(why, layer, &backing_role, h->backing,
			 "has no format recorded, and guessing is not safe: run 'qemu-img rebase -u -F FORMAT -b BACKING IMAGE'");
}

/* Refuses names that are not plain file names. */
static int check_name(const struct layer *layer, const struct role *role,
		      const char *name, struct message *why)
{
	if (!strncmp(name, "json:", 5))
		return name_fail(why, layer, role, name, "is not a plain file name: %s",
				 role->correct);
	if (has_protocol(name))
		return name_fail(why, layer, role, name,
				 "has protocol '%.*s', it is not a plain file name: %s",
				 (int)strcspn(name, ":"), name, role->correct);
	return 0;
}

/* Adds the backing file that header @h of the last layer names. */
static int add_backing(struct chain *chain, const struct header *h, struct message *why)
{
	const struct layer *layer = &chain->layers[chain->nr - 1];
	int format, ret;
	char *path;

	ret = check_name(layer, &backing_role, h->backing, why);
	if (ret)
		return ret;
	format = backing_format(layer, h, why);
	if (format < 0)
		return format;
	path = resolve(layer->file.path, h->backing);
	if (!path)
		return no_memory(why);
	return add_layer(chain, path, format, why);
}

/* Opens the data file that header @h of the last layer names. */
static int add_data(struct chain *chain, const struct header *h, struct message *why)
{
	struct layer *layer = &chain->layers[chain->nr - 1];
	struct subject s = { .role = &data_role, .parent = layer->file.path };
	int ret;

	if (!*h->data_file) {
		message_set(why, "%s: does not name its data file: name it with 'qemu-img amend -o data_file=NAME --image-opts driver=qcow2,file.filename=IMAGE,data-file.filename=NAME'",
			    layer->file.path);
		return -EINVAL;
	}
	ret = check_name(layer, &data_role, h->data_file, why);
	if (ret)
		return ret;
	s.path = resolve(layer->file.path, h->data_file);
	if (!s.path)
		return no_memory(why);
	ret = open_locked(chain, &layer->data, &s, is_written(chain, chain->nr - 1), why);
	if (!ret)
		explain_opened(&layer->data, "data file of layer", chain->nr - 1, "raw");
	return ret;
}

/*
 * Looks into the last layer for the files that it names, and opens them.
 * Returns 1 if that made one layer more, 0 if it was the base, or a negative
 * error.
 */
static int follow(struct chain *chain, struct message *why)
{
	struct layer *layer = &chain->layers[chain->nr - 1];
	struct header header;
	int ret;

	if (layer->format != QCOW2_FORMAT_QCOW2)
		return 0;
	ret = layer_header(chain, &header, why);
	if (ret)
		return ret;
	layer->incompatible = header.incompatible;
	if (header.incompatible & HEADER_INCOMPAT_DATA_FILE)
		ret = add_data(chain, &header, why);
	if (ret || !*header.backing)
		return ret;
	return add_backing(chain, &header, why);
}

/*
 * Opens @image, its backing files to the end of the chain, and their data
 * files. Returns 0, -EAGAIN if somebody else writes to one of them, -ENOENT if a
 * backing or data file is not where it should be, or -EINVAL. On failure nothing is
 * open and @why says what is wrong with which file.
 */
int chain_open(struct chain *chain, const char *image, bool readonly,
	       struct message *why)
{
	char *path = strdup(image);
	int ret;

	chain->nr = 0;
	chain->readonly = readonly;
	if (!path)
		return no_memory(why);
	ret = add_layer(chain, path, QCOW2_FORMAT_QCOW2, why);
	while (ret > 0)
		ret = follow(chain, why);
	if (ret)
		chain_close(chain);
	return ret;
}

void chain_close(struct chain *chain)
{
	while (chain->nr) {
		chain->nr--;
		file_close(&chain->layers[chain->nr].data);
		file_close(&chain->layers[chain->nr].file);
	}
}

enum chain_health chain_health(const struct chain *chain)
{
	uint64_t bits = chain->layers[0].incompatible;

	if (chain->readonly)
		return CHAIN_CLEAN;
	if (bits & HEADER_INCOMPAT_CORRUPT)
		return CHAIN_CORRUPT;
	return bits & HEADER_INCOMPAT_DIRTY ? CHAIN_DIRTY : CHAIN_CLEAN;
}

/* The chain as the ioctls want it. */
void chain_export(const struct chain *chain,
		  struct qcow2_ctl_layer out[QCOW2_MAX_LAYERS])
{
	unsigned int i;

	for (i = 0; i < chain->nr; i++)
		out[i] = (struct qcow2_ctl_layer){
			.fd = chain->layers[i].file.fd,
			.format = chain->layers[i].format,
			.data_fd = chain->layers[i].data.fd,
		};
}
