/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What diff_io knows about a device: the content it must have, what was done
 * to it and when.
 */
#ifndef DIFF_MODEL_H
#define DIFF_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR		512u
#define MAX_IO		(2u << 20)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))

enum op_kind {
	OP_READ,
	OP_WRITE,
	OP_WRITE_DSYNC,
	OP_FLUSH,
	OP_ZEROOUT,		/* BLKZEROOUT */
	OP_ZERO_RANGE,		/* fallocate() ZERO_RANGE */
	OP_PUNCH,		/* fallocate() PUNCH_HOLE */
	OP_DISCARD,		/* BLKDISCARD */
	OP_BUF_READ,		/* through the page cache */
	OP_BUF_WRITE,
	OP_CLONE,		/* a copy of the image file, or a mark, was made */
	OP_KINDS,
};

/**
 * struct op - one operation
 * @off: offset in bytes from the start of the region
 * @len: bytes
 * @issued: time at which it may have begun to act, in ticks from 1
 * @ended: time at which it was known to be done, 0 while it is not
 * @kind: &enum op_kind
 */
struct op {
	uint64_t off;
	uint32_t len;
	uint32_t issued;
	uint32_t ended;
	uint32_t kind;
};

/**
 * struct model - the device as it must be
 * @data: content of the region
 * @unsure: per sector: a write to it has failed, and none has succeeded since
 * @base: where the region begins on the device
 * @size: of the region, in bytes
 * @cluster: in bytes, to be named in reports
 * @seed: of the run, part of all that is written
 * @ops: what was done, in the order of issue; the data that operation N wrote
 *	follows from @seed, N and the sector
 * @nr_ops: how much of that
 * @max_ops: room in @ops
 */
struct model {
	uint8_t *data;
	bool *unsure;
	uint64_t base;
	uint64_t size;
	uint32_t cluster;
	uint32_t seed;
	struct op *ops;
	uint32_t nr_ops;
	uint32_t max_ops;
};

__attribute__((noreturn, format(printf, 1, 2)))
void die(const char *fmt, ...);

const char *op_name(unsigned int kind);
bool op_is_zero(unsigned int kind);
bool op_is_write(unsigned int kind);
bool op_is_buffered(unsigned int kind);

bool same(const void *a, const void *b, size_t len);
void copy(void *to, const void *from, size_t len);

struct op *model_add(struct model *m, unsigned int kind, uint64_t off,
		     uint32_t len);
void model_alloc(struct model *m);
void model_load(struct model *m, const char *file);
void model_save(const struct model *m, const char *file);
void model_apply(struct model *m, uint32_t nr);
void model_unsure(struct model *m, const struct op *op, bool unsure);
bool model_agrees(struct model *m, uint64_t off, const uint8_t *found,
		  size_t len);
bool model_adopt(struct model *m, uint64_t off, const uint8_t *found, size_t len);
void model_mismatch(const struct model *m, const char *what, uint64_t off,
		    const uint8_t *found, size_t len);

void make_content(const char *file, uint64_t size, uint32_t seed);

void log_save(const struct model *m, const char *file);
void log_load(struct model *m, const char *file);
int log_verify(struct model *m, const char *file, unsigned int clone,
	       unsigned int until);

#endif
