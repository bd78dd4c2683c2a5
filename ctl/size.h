/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_SIZE_H
#define QCOW2CTL_SIZE_H

#include <stdint.h>

#define SIZE_TEXT	16

int size_parse(const char *text, uint64_t *bytes);
void size_format(uint64_t bytes, char text[SIZE_TEXT]);

#endif /* QCOW2CTL_SIZE_H */
