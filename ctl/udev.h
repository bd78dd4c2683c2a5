/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _QCOW2CTL_UDEV_H
#define _QCOW2CTL_UDEV_H

struct control;

int show_udev(struct control *control, int index);

#endif /* _QCOW2CTL_UDEV_H */
