// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sizes as people write and read them: 64M, 1.5G
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"

static const char units[] = "KMGTPE";

/* K, M, ... and KiB, MiB, ... are powers of 1024; KB, MB, ... of 1000. */
int size_parse(const char *text, uint64_t *bytes)
{
	unsigned int base = 1024;
	const char *unit;
	uint64_t n;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -errno;
	if (!*end) {
		*bytes = n;
		return 0;
	}
	unit = strchr(units, toupper((unsigned char)*end));
	if (!unit)
		return -EINVAL;
	if (!strcmp(end + 1, "B"))
		base = 1000;
	else if (end[1] && strcmp(end + 1, "iB"))
		return -EINVAL;
	for (; unit >= units; unit--)
		if (__builtin_mul_overflow(n, base, &n))
			return -ERANGE;
	*bytes = n;
	return 0;
}

/* At most one digit after the point, and only if it is not zero. */
void size_format(uint64_t bytes, char text[SIZE_TEXT])
{
	unsigned int tenths, shift = 0;
	uint64_t whole;

	while (shift < 60 && bytes >> shift >= 1024)
		shift += 10;
	if (!shift) {
		snprintf(text, SIZE_TEXT, "%uB", (unsigned int)bytes);
		return;
	}
	whole = bytes >> shift;
	tenths = (((bytes >> (shift - 10)) & 1023) * 10 + 512) / 1024;
	if (tenths == 10) {
		tenths = 0;
		whole++;
	}
	if (tenths)
		snprintf(text, SIZE_TEXT, "%u.%u%c", (unsigned int)whole, tenths,
			 units[shift / 10 - 1]);
	else
		snprintf(text, SIZE_TEXT, "%u%c", (unsigned int)whole,
			 units[shift / 10 - 1]);
}
