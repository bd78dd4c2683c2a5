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

/*
 * A unit: K, M, ... and KiB, MiB, ... are powers of 1024; KB, MB, ... of 1000;
 * B or none at all is 1. Returns 0 if it is none of these.
 */
static uint64_t unit_parse(const char *text)
{
	uint64_t n = 1, base = 1024;
	const char *unit;

	if (!*text || !strcmp(text, "B"))
		return 1;
	unit = strchr(units, toupper((unsigned char)*text));
	if (!unit)
		return 0;
	if (!strcmp(text + 1, "B"))
		base = 1000;
	else if (text[1] && strcmp(text + 1, "iB"))
		return 0;
	for (; unit >= units; unit--)
		n *= base;
	return n;
}

/* Digits after a point, as billionths. Returns what follows them, or NULL. */
static const char *fraction_parse(const char *text, uint64_t *billionths)
{
	uint64_t worth = 100000000;

	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++, worth /= 10)
		*billionths += worth * (*text - '0');
	return text;
}

/* What size_format() makes is understood, too. */
int size_parse(const char *text, uint64_t *bytes)
{
	uint64_t n, unit, billionths = 0;
	const char *rest;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -errno;
	rest = *end == '.' ? fraction_parse(end + 1, &billionths) : end;
	if (!rest)
		return -EINVAL;
	unit = unit_parse(rest);
	/* There are no fractions of bytes. */
	if (!unit || (unit == 1 && rest != end))
		return -EINVAL;
	if (__builtin_mul_overflow(n, unit, &n) ||
	    __builtin_add_overflow(n, (unsigned __int128)unit * billionths / 1000000000, &n))
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
