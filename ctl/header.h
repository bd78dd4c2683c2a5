/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_HEADER_H
#define QCOW2CTL_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "message.h"

/* Limits of the format. */
#define HEADER_BACKING_MAX	1023
#define HEADER_FORMAT_MAX	15
#define HEADER_CLUSTER_MAX	(2u << 20)
/* Linux takes no longer names. */
#define HEADER_DATA_FILE_MAX	4095

/* Incompatible feature bits. */
#define HEADER_INCOMPAT_DIRTY		(1ull << 0)
#define HEADER_INCOMPAT_CORRUPT		(1ull << 1)
#define HEADER_INCOMPAT_DATA_FILE	(1ull << 2)

/*
 * struct header - what of a QCOW2 header matters outside the kernel
 * @version: 2 or 3
 * @length: bytes of the fixed part; the header extensions follow
 * @cluster_size: in bytes; name and extensions lie in the first cluster
 * @incompatible: feature bits, HEADER_INCOMPAT_*; 0 in version 2
 * @backing_offset: of the backing file's name, 0 if there is none
 * @backing_size: of that name in bytes
 * @backing: the name, "" if there is none
 * @backing_format: the format recorded for it, "" if none is
 * @data_file: the name of the external data file, "" if none is recorded or
 *	the feature bit is not set
 */
struct header {
	uint32_t version;
	uint32_t length;
	uint32_t cluster_size;
	uint64_t incompatible;
	uint32_t backing_offset;
	uint32_t backing_size;
	char backing[HEADER_BACKING_MAX + 1];
	char backing_format[HEADER_FORMAT_MAX + 1];
	char data_file[HEADER_DATA_FILE_MAX + 1];
};

enum header_result {
	HEADER_OK,
	HEADER_BAD,		/* the message says what is wrong */
	HEADER_FOREIGN,		/* not a QCOW2 file at all */
};

enum header_result header_parse(const unsigned char *buf, size_t len,
				struct header *h, struct message *why);
size_t header_extent(const struct header *h);
enum header_result header_parse_names(const unsigned char *buf, size_t len,
				      struct header *h, struct message *why);
const char *foreign_format(const unsigned char *buf, size_t len);

#endif /* QCOW2CTL_HEADER_H */
