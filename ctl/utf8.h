/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_UTF8_H
#define QCOW2CTL_UTF8_H

#include <stddef.h>

size_t utf8_length(const char *text);
char *utf8_dup(const char *text);

#endif /* QCOW2CTL_UTF8_H */
