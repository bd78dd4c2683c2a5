/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_TAB_H
#define QCOW2CTL_TAB_H

char *tab_name(const char *image);

#endif /* QCOW2CTL_TAB_H */
