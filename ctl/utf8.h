/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_UTF8_H
#define QCOW2CTL_UTF8_H

char *utf8_dup(const char *text);

#endif /* QCOW2CTL_UTF8_H */
