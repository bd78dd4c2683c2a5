// SPDX-License-Identifier: GPL-2.0-only
/* v6.9: filelock: split common fields into struct file_lock_core */
#include <linux/filelock.h>
struct file *f(struct file_lock *l);
struct file *f(struct file_lock *l) { return l->c.flc_file; }
