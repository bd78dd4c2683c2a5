/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_LOCK_H
#define QCOW2CTL_LOCK_H

int lock_against_writers(int fd);

#endif /* QCOW2CTL_LOCK_H */
