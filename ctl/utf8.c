// SPDX-License-Identifier: GPL-2.0-only
/*
 * UTF-8 of what may be any bytes: JSON takes nothing else
 */
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* Length of the valid character at @s, 0 if there is none. */
size_t utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len, i;

	if (*s < 0x80)
		return 1;
	if (*s >= 0xc2 && *s <= 0xdf)
		len = 2;
	else if ((*s & 0xf0) == 0xe0)
		len = 3;
	else if (*s >= 0xf0 && *s <= 0xf4)
		len = 4;
	else
		return 0;
	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, surrogate, or beyond the last code point. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

/* A copy in which U+FFFD replaces each byte that is not UTF-8. */
char *utf8_dup(const char *text)
{
	const char *s = text;
	char *copy = malloc(3 * strlen(text) + 1);
	char *to = copy;
	size_t len;

	if (!copy)
		return NULL;
	while (*s) {
		len = utf8_length(s);
		if (len) {
			memcpy(to, s, len);
			to += len;
			s += len;
		} else {
			memcpy(to, "\xef\xbf\xbd", 3);
			to += 3;
			s++;
		}
	}
	*to = 0;
	return copy;
}
