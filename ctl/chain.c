// SPDX-License-Identifier: GPL-2.0-only
/*
 * The chain: opens an image and all of its backing files
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
#include <sys/stat.h>
#include <unistd.h>

#include "chain.h"
#include "header.h"
#include "lock.h"

/* First read, and alignment of every read: fit for any O_DIRECT. */
#define READ_UNIT	65536u

/*
 * Composes "PATH: what is wrong (backing file of PARENT): what to do".
 * Returns -EINVAL so that callers can return it.
 */
static __printf(5, 6) int layer_fail(struct message *why, const char *parent,
				     const char *path, const char *advice,
				     const char *fmt, ...)
{
	struct message what;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	message_set(why, "%s: %s%s%s%s%s%s", path, what.text,
		    parent ? " (backing file of " : "", parent ? parent : "",
		    parent ? ")" : "", advice ? ": " : "", advice ? advice : "");
	return -EINVAL;
}

static int no_memory(struct message *why)
{
	message_set(why, "out of memory");
	return -EINVAL;
}

static int open_fail(struct message *why, const char *parent, const char *path,
		     bool writing)
{
	const char *mend = "make it writable, or attach it read-only (-r)";

	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return layer_fail(why, parent, path, parent ?
				  "put it back, or correct the name with 'qemu-img rebase -u'" :
				  "check the name", "no such file");
	case EACCES:
		return layer_fail(why, parent, path, geteuid() ? "run qcow2ctl as root" :
				  writing ? mend : NULL, "permission denied");
	case EROFS:
		return layer_fail(why, parent, path, mend,
				  "cannot be opened for writing: read-only file system or device");
	case EPERM:
		if (writing)
			return layer_fail(why, parent, path, mend,
					  "cannot be opened for writing: immutable (chattr)");
		break;
	case ETXTBSY:
		return layer_fail(why, parent, path, "stop that first",
				  "in use as a swap file or a program");
	case EMFILE:
		return layer_fail(why, parent, path, "raise the limit (ulimit -n)",
				  "too many open files");
	}
	return layer_fail(why, parent, path, NULL, "cannot be opened: %m");
}

/* Only these can hold an image; opening others may hang or do harm. */
static int check_type(struct message *why, const char *parent, const char *path,
		      const struct stat *st, bool writing)
{
	const char *advice = "name a regular file or a block device";

	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		/* Root may write to it all the same, but was asked not to. */
		if (writing && !(st->st_mode & 0222))
			return layer_fail(why, parent, path,
					  "use -r, or permit writing with chmod",
					  "read-only file (nobody has write permission)");
		return 0;
	case S_IFBLK:
		return 0;
	case S_IFDIR:
		return layer_fail(why, parent, path, advice, "is a directory");
	case S_IFCHR:
		return layer_fail(why, parent, path, advice, "is a character device");
	case S_IFIFO:
		return layer_fail(why, parent, path, advice, "is a FIFO");
	case S_IFSOCK:
		return layer_fail(why, parent, path, advice, "is a socket");
	default:
		return layer_fail(why, parent, path, advice, "is not a file");
	}
}

/*
 * Opens what O_PATH descriptor @handle stands for, so that it is the file
 * that was looked at whatever happens to its name meanwhile. Not all file
 * systems have direct I/O, and O_NOATIME is for the owner.
 */
static int reopen(int handle, int flags)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", handle);
	flags |= O_CLOEXEC | O_NOCTTY | O_DIRECT | O_NOATIME;
	fd = open(name, flags);
	if (fd < 0 && errno == EPERM) {
		flags &= ~O_NOATIME;
		fd = open(name, flags);
	}
	if (fd < 0 && errno == EINVAL)
		fd = open(name, flags & ~O_DIRECT);
	return fd;
}

static int open_file(struct message *why, const char *parent, const char *path,
		     bool writing, struct stat *st)
{
	int handle, fd;

	handle = open(path, O_PATH | O_CLOEXEC);
	if (handle < 0)
		return open_fail(why, parent, path, writing);
	if (fstat(handle, st)) {
		fd = layer_fail(why, parent, path, NULL, "cannot be examined: %m");
	} else if (check_type(why, parent, path, st, writing)) {
		fd = -EINVAL;
	} else {
		fd = reopen(handle, writing ? O_RDWR : O_RDONLY);
		if (fd < 0 && errno == ENOENT)
			fd = layer_fail(why, parent, path, "mount /proc",
					"cannot be opened without /proc");
		else if (fd < 0)
			fd = open_fail(why, parent, path, writing);
	}
	close(handle);
	return fd;
}

static const char *last_path(const struct chain *chain)
{
	return chain->nr ? chain->layers[chain->nr - 1].path : NULL;
}

static bool same_file(const struct layer *layer, const struct stat *st)
{
	if (layer->id.blockdev != S_ISBLK(st->st_mode))
		return false;
	if (layer->id.blockdev)
		return layer->id.dev == st->st_rdev;
	return layer->id.dev == st->st_dev && layer->id.ino == st->st_ino;
}

static int check_depth(struct message *why, const struct chain *chain, const char *path)
{
	if (chain->nr < QCOW2_MAX_LAYERS)
		return 0;
	return layer_fail(why, last_path(chain), path,
			  "shorten the chain with 'qemu-img rebase' or 'commit'",
			  "one layer too many, the limit is %d", QCOW2_MAX_LAYERS);
}

static int check_loop(struct message *why, const struct chain *chain, const char *path,
		      const struct stat *st)
{
	unsigned int i;

	for (i = 0; i < chain->nr; i++)
		if (same_file(&chain->layers[i], st))
			return layer_fail(why, last_path(chain), path,
					  "correct the names with 'qemu-img rebase -u'",
					  "comes twice, the chain of backing files is a loop");
	return 0;
}

static int check_lock(struct message *why, const struct chain *chain, const char *path,
		      int fd)
{
	int ret = lock_against_writers(fd);

	if (ret)
		layer_fail(why, last_path(chain), path, "stop that first",
			   "locked by a process that writes to it (a virtual machine, qemu-img, another qcow2 device)");
	return ret;
}

/* Opens and locks the file for the next layer. Returns the descriptor. */
static int open_layer(struct chain *chain, const char *path, bool writing,
		      struct stat *st, struct message *why)
{
	int fd, ret;

	ret = check_depth(why, chain, path);
	if (ret)
		return ret;
	fd = open_file(why, last_path(chain), path, writing, st);
	if (fd < 0)
		return fd;
	ret = check_loop(why, chain, path, st);
	if (!ret)
		ret = check_lock(why, chain, path, fd);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* Opens @path and makes it the last layer. Takes over @path in any case. */
static int add_layer(struct chain *chain, char *path, unsigned int format,
		     struct message *why)
{
	struct layer *layer = &chain->layers[chain->nr];
	bool writing = !chain->nr && !chain->readonly;
	struct stat st;
	int fd;

	fd = open_layer(chain, path, writing, &st, why);
	if (fd < 0) {
		free(path);
		return fd;
	}
	explain("%s: opened as layer %u, %s, %s, %s I/O", path, chain->nr,
		format == QCOW2_FORMAT_QCOW2 ? "qcow2" : "raw",
		writing ? "read-write" : "read-only",
		fcntl(fd, F_GETFL) & O_DIRECT ? "direct" : "buffered");
	layer->path = path;
	layer->fd = fd;
	layer->format = format;
	layer->id.blockdev = S_ISBLK(st.st_mode);
	layer->id.dev = layer->id.blockdev ? st.st_rdev : st.st_dev;
	layer->id.ino = st.st_ino;
	chain->nr++;
	return 0;
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
	return header_parse_backing(buf, *got, h, why);
}

static int foreign_fail(struct message *why, const char *parent, const char *path,
			const unsigned char *buf, size_t len)
{
	const char *looks = foreign_format(buf, len);
	const char *advice = parent ? "record its real format with 'qemu-img rebase -u -F'" :
		"a raw image is for losetup, others can be converted with 'qemu-img convert'";

	if (!len)
		return layer_fail(why, parent, path, NULL, "is empty, not a QCOW2 image");
	if (!looks)
		return layer_fail(why, parent, path, advice,
				  "is not a QCOW2 image, but raw or something unknown");
	return layer_fail(why, parent, path, advice, "is not a QCOW2 image, it looks like %s",
			  looks);
}

/* Parses the header of the last layer. */
static int layer_header(const struct chain *chain, struct header *h, struct message *why)
{
	const char *parent = chain->nr > 1 ? chain->layers[chain->nr - 2].path : NULL;
	const struct layer *layer = &chain->layers[chain->nr - 1];
	enum header_result res;
	struct message reason;
	unsigned char *buf;
	ssize_t got;
	int ret = 0;

	buf = aligned_alloc(READ_UNIT, HEADER_CLUSTER_MAX);
	if (!buf)
		return no_memory(why);
	res = read_header(layer->fd, buf, h, &reason, &got);
	if (got < 0)
		ret = layer_fail(why, parent, layer->path, NULL, "cannot be read: %m");
	else if (res == HEADER_FOREIGN)
		ret = foreign_fail(why, parent, layer->path, buf, got);
	else if (res == HEADER_BAD)
		ret = layer_fail(why, parent, layer->path, "restore it from a copy", "%s",
				 reason.text);
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
static __printf(4, 5) int backing_fail(struct message *why, const struct layer *layer,
				       const struct header *h, const char *fmt, ...)
{
	struct message what;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	message_set(why, "%s: its backing file %s %s", layer->path, h->backing, what.text);
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
		return backing_fail(why, layer, h,
				    "has format '%s', not qcow2 or raw: convert it",
				    h->backing_format);
	return backing_fail(why, layer, h,
			    "has no format recorded, and guessing is not safe: run 'qemu-img rebase -u -F FORMAT -b BACKING IMAGE'");
}

/* Refuses names that are not plain file names. */
static int check_name(const struct layer *layer, const struct header *h,
		      struct message *why)
{
	if (!strncmp(h->backing, "json:", 5))
		return backing_fail(why, layer, h,
				    "is not a plain file name: name it with 'qemu-img rebase -u'");
	if (has_protocol(h->backing))
		return backing_fail(why, layer, h,
				    "has protocol '%.*s', it is not a plain file name: name it with 'qemu-img rebase -u'",
				    (int)strcspn(h->backing, ":"), h->backing);
	return 0;
}

/* Opens the backing file that header @h of the last layer names. */
static int add_backing(struct chain *chain, const struct header *h, struct message *why)
{
	const struct layer *layer = &chain->layers[chain->nr - 1];
	int format, ret;
	char *name;

	ret = check_name(layer, h, why);
	if (ret)
		return ret;
	format = backing_format(layer, h, why);
	if (format < 0)
		return format;
	name = resolve(layer->path, h->backing);
	if (!name)
		return no_memory(why);
	return add_layer(chain, name, format, why);
}

static bool has_header(const struct chain *chain)
{
	return chain->layers[chain->nr - 1].format == QCOW2_FORMAT_QCOW2;
}

/*
 * Opens @image and its backing files, to the end of the chain. Returns 0,
 * -EAGAIN if somebody else writes to one of them, or -EINVAL. On failure
 * nothing is open and @why says what is wrong with which file.
 */
int chain_open(struct chain *chain, const char *image, bool readonly,
	       struct message *why)
{
	char *path = strdup(image);
	struct header header;
	int ret;

	chain->nr = 0;
	chain->readonly = readonly;
	if (!path)
		return no_memory(why);
	ret = add_layer(chain, path, QCOW2_FORMAT_QCOW2, why);
	while (!ret && has_header(chain)) {
		ret = layer_header(chain, &header, why);
		if (ret || !*header.backing)
			break;
		ret = add_backing(chain, &header, why);
	}
	if (ret)
		chain_close(chain);
	return ret;
}

void chain_close(struct chain *chain)
{
	while (chain->nr) {
		chain->nr--;
		close(chain->layers[chain->nr].fd);
		free(chain->layers[chain->nr].path);
	}
}

/* The chain as the ioctls want it. */
void chain_export(const struct chain *chain,
		  struct qcow2_ctl_layer out[QCOW2_MAX_LAYERS])
{
	unsigned int i;

	for (i = 0; i < chain->nr; i++) {
		out[i].fd = chain->layers[i].fd;
		out[i].format = chain->layers[i].format;
		out[i].data_fd = -1;
		out[i].reserved = 0;
	}
}
