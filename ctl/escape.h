/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_ESCAPE_H
#define QCOW2CTL_ESCAPE_H

void unescape_octal(char *text);
char *escape_link(const char *text);

#endif /* QCOW2CTL_ESCAPE_H */
