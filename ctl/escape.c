// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names as fstab and /proc write them, and as udev does
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "utf8.h"

/* Undoes the \ooo of fstab and /proc, in place. */
void unescape_octal(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
}

/*
 * A copy in which \xHH stands for each byte that udev does not take in the name of
 * a link, as in /dev/disk/by-label.
 */
char *escape_link(const char *text)
{
	char *copy = malloc(4 * strlen(text) + 1);
	char *to = copy;
	size_t len;

	if (!copy)
		return NULL;
	while (*text) {
		len = utf8_length(text);
		if (len > 1 || isalnum((unsigned char)*text) || strchr("#+-.:=@_", *text)) {
			memcpy(to, text, len ? len : 1);
			to += len;
			text += len;
		} else {
			to += sprintf(to, "\\x%02x", (unsigned char)*text++);
		}
	}
	*to = 0;
	return copy;
}
