// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the QCOW2 header that matters outside the kernel: the names of
 * other files, and what speaks against writing
 *
 * No I/O and no allocation in here: bytes in, struct out. The bytes are a
 * stranger's; every offset is checked against the format's limits before
 * it is used. All else in the header is the kernel's to judge.
 */
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "header.h"

#define MAGIC			0x514649fbu	/* "QFI\xfb" */
#define V2_LENGTH		72
#define V3_LENGTH		104
#define CLUSTER_BITS_MIN	9
#define CLUSTER_BITS_MAX	21
#define EXT_END			0
#define EXT_BACKING_FORMAT	0xe2792acau
#define EXT_DATA_FILE		0x44415441u	/* "DATA" */

/* Offsets of the fields. */
enum {
	AT_MAGIC	= 0,
	AT_VERSION	= 4,
	AT_BACKING	= 8,
	AT_BACKING_SIZE	= 16,
	AT_CLUSTER_BITS	= 20,
	AT_INCOMPATIBLE	= 72,
	AT_LENGTH	= 100,
};

static uint32_t get_be32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static uint64_t get_be64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static enum header_result truncated(struct message *why)
{
	message_set(why, "is truncated, it ends within its header");
	return HEADER_BAD;
}

static enum header_result parse_geometry(const unsigned char *buf,
					 struct header *h, struct message *why)
{
	uint32_t bits = get_be32(buf + AT_CLUSTER_BITS);

	if (bits < CLUSTER_BITS_MIN || bits > CLUSTER_BITS_MAX) {
		message_set(why, "has a damaged header (cluster_bits is %u)", bits);
		return HEADER_BAD;
	}
	h->cluster_size = 1u << bits;
	h->length = h->version == 2 ? V2_LENGTH : get_be32(buf + AT_LENGTH);
	if (h->length > h->cluster_size || (h->version > 2 && h->length < V3_LENGTH)) {
		message_set(why, "has a damaged header (header_length is %u)", h->length);
		return HEADER_BAD;
	}
	return HEADER_OK;
}

/* Finds where the backing file's name is, without looking at it yet. */
static enum header_result locate_backing(const unsigned char *buf,
					 struct header *h, struct message *why)
{
	uint64_t offset = get_be64(buf + AT_BACKING);
	uint32_t size = get_be32(buf + AT_BACKING_SIZE);

	/* As in QEMU: without an offset the size has no meaning. */
	if (!offset || !size)
		return HEADER_OK;
	if (size > HEADER_BACKING_MAX) {
		message_set(why, "has a damaged header (backing file name of %u bytes)",
			    size);
		return HEADER_BAD;
	}
	if (offset < h->length || offset > h->cluster_size ||
	    size > h->cluster_size - offset) {
		message_set(why, "has a damaged header (backing file name at offset %llu)",
			    (unsigned long long)offset);
		return HEADER_BAD;
	}
	h->backing_offset = offset;
	h->backing_size = size;
	return HEADER_OK;
}

/* Parses the fixed part. @len may be less than a whole header. */
enum header_result header_parse(const unsigned char *buf, size_t len,
				struct header *h, struct message *why)
{
	enum header_result res;

	memset(h, 0, sizeof(*h));
	if (len < AT_VERSION || get_be32(buf + AT_MAGIC) != MAGIC)
		return HEADER_FOREIGN;
	if (len < V2_LENGTH)
		return truncated(why);
	h->version = get_be32(buf + AT_VERSION);
	if (h->version != 2 && h->version != 3) {
		message_set(why, "is of QCOW version %u, not 2 or 3", h->version);
		return HEADER_BAD;
	}
	if (h->version > 2) {
		if (len < V3_LENGTH)
			return truncated(why);
		h->incompatible = get_be64(buf + AT_INCOMPATIBLE);
	}
	res = parse_geometry(buf, h, why);
	if (res != HEADER_OK)
		return res;
	return locate_backing(buf, h, why);
}

/* Bytes from the start of the file that header_parse_names() looks at. */
size_t header_extent(const struct header *h)
{
	if (!h->backing_offset)
		return h->cluster_size;
	return (size_t)h->backing_offset + h->backing_size;
}

static bool take_string(char *to, size_t max, const unsigned char *from, size_t len)
{
	if (len > max || memchr(from, 0, len))
		return false;
	memcpy(to, from, len);
	to[len] = 0;
	return true;
}

/* Takes what matters of one extension. */
static enum header_result take_extension(struct header *h, uint32_t type,
					 const unsigned char *data, size_t len,
					 struct message *why)
{
	if (type == EXT_BACKING_FORMAT &&
	    !take_string(h->backing_format, HEADER_FORMAT_MAX, data, len)) {
		message_set(why, "has a damaged header (name of the backing format)");
		return HEADER_BAD;
	}
	if (type == EXT_DATA_FILE && h->incompatible & HEADER_INCOMPAT_DATA_FILE &&
	    !take_string(h->data_file, HEADER_DATA_FILE_MAX, data, len)) {
		message_set(why, "has a damaged header (name of the data file)");
		return HEADER_BAD;
	}
	return HEADER_OK;
}

/* The extensions lie between the fixed part and @end. */
static enum header_result walk_extensions(const unsigned char *buf, size_t end,
					  struct header *h, struct message *why)
{
	enum header_result res = HEADER_OK;
	size_t pos = h->length;
	uint32_t type, len;

	while (res == HEADER_OK && pos + 8 <= end) {
		type = get_be32(buf + pos);
		len = get_be32(buf + pos + 4);
		pos += 8;
		if (type == EXT_END)
			break;
		if (len > end - pos) {
			message_set(why, "has a damaged header (extension 0x%x is too long)",
				    type);
			return HEADER_BAD;
		}
		res = take_extension(h, type, buf + pos, len, why);
		pos += (len + 7ull) & ~7ull;
	}
	return res;
}

static enum header_result take_backing(const unsigned char *buf, size_t len,
				       struct header *h, struct message *why)
{
	if (len < header_extent(h))
		return truncated(why);
	if (!take_string(h->backing, HEADER_BACKING_MAX, buf + h->backing_offset,
			 h->backing_size)) {
		message_set(why, "has a damaged header (NUL in the backing file name)");
		return HEADER_BAD;
	}
	return HEADER_OK;
}

/*
 * Takes the names of the backing file, of its format and of the data file
 * from the first @len bytes, which should be header_extent(). Only after
 * header_parse().
 */
enum header_result header_parse_names(const unsigned char *buf, size_t len,
				      struct header *h, struct message *why)
{
	size_t end = len < h->cluster_size ? len : h->cluster_size;
	enum header_result res;

	if (h->backing_offset) {
		res = take_backing(buf, len, h, why);
		if (res != HEADER_OK)
			return res;
		end = h->backing_offset;
	}
	return walk_extensions(buf, end, h, why);
}

/* Says what a file that is not QCOW2 looks like, or NULL. For messages only. */
const char *foreign_format(const unsigned char *buf, size_t len)
{
	static const struct {
		size_t offset;
		size_t len;
		const char *magic;
		const char *name;
	} known[] = {
		{ 0, 4, "KDMV", "a VMDK image" },
		{ 0, 4, "COWD", "a VMDK image" },
		{ 0, 21, "# Disk DescriptorFile", "a VMDK description" },
		{ 0, 8, "vhdxfile", "a VHDX image" },
		{ 0, 8, "conectix", "a VHD image" },
		{ 64, 4, "\x7f\x10\xda\xbe", "a VDI image" },
		{ 0, 4, "QED\0", "a QED image" },
		{ 0, 4, "OOOM", "a UML COW image" },
		{ 0, 6, "LUKS\xba\xbe", "a LUKS volume" },
		{ 0, 2, "\x1f\x8b", "a gzip file" },
		{ 0, 6, "\xfd" "7zXZ\0", "an xz file" },
		{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd file" },
		{ 0, 3, "BZh", "a bzip2 file" },
		{ 0, 4, "PK\3\4", "a zip file" },
		{ 0, 4, "\177ELF", "a program" },
		{ 512, 8, "EFI PART", "a raw disk image" },
		{ 510, 2, "\x55\xaa", "a raw disk image" },
		{ 1080, 2, "\x53\xef", "a raw ext2/3/4 file system" },
		{ 0, 4, "XFSB", "a raw XFS file system" },
		{ 32769, 5, "CD001", "an ISO 9660 image" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (len >= known[i].offset + known[i].len &&
		    !memcmp(buf + known[i].offset, known[i].magic, known[i].len))
			return known[i].name;
	return NULL;
}
