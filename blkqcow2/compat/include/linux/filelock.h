/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _COMPAT_LINUX_FILELOCK_H
#define _COMPAT_LINUX_FILELOCK_H

#include <linux/fs.h>
#include <compat_config.h>

#ifndef COMPAT_LINUX_FILELOCK_H
#include_next <linux/filelock.h>
#endif

#ifdef COMPAT_FILE_LOCK_CORE
/* What the driver says of a lock, and is told. */
struct compat_file_lock {
	struct {
		struct file *flc_file;
		fl_owner_t flc_owner;
		unsigned int flc_flags;
		unsigned int flc_pid;
		unsigned char flc_type;
	} c;
	loff_t fl_start;
	loff_t fl_end;
};

static inline void compat_init_lock(struct compat_file_lock *fl)
{
	memset(fl, 0, sizeof(*fl));
}

static inline void compat_make_lock(const struct compat_file_lock *fl,
				    struct file_lock *real)
{
	locks_init_lock(real);
	real->fl_file = fl->c.flc_file;
	real->fl_owner = fl->c.flc_owner;
	real->fl_flags = fl->c.flc_flags;
	real->fl_pid = fl->c.flc_pid;
	real->fl_type = fl->c.flc_type;
	real->fl_start = fl->fl_start;
	real->fl_end = fl->fl_end;
}

static inline int compat_lock_file(struct file *file, unsigned int cmd,
				   const struct compat_file_lock *fl,
				   struct file_lock *conf)
{
	struct file_lock real;
	int ret;

	compat_make_lock(fl, &real);
	ret = vfs_lock_file(file, cmd, &real, conf);
	locks_release_private(&real);
	return ret;
}

static inline int compat_test_lock(struct file *file,
				   struct compat_file_lock *fl)
{
	struct file_lock real;
	int ret;

	compat_make_lock(fl, &real);
	ret = vfs_test_lock(file, &real);
	fl->c.flc_type = real.fl_type;
	locks_release_private(&real);
	return ret;
}

/* That has been done to the real one. */
static inline void compat_release_lock(struct compat_file_lock *fl)
{
}

/* fs.h, which has the functions that take real ones, has been included. */
#define file_lock			compat_file_lock
#define locks_init_lock(fl)		compat_init_lock(fl)
#define vfs_lock_file(file, cmd, fl, conf) compat_lock_file(file, cmd, fl, conf)
#define vfs_test_lock(file, fl)		compat_test_lock(file, fl)
#define locks_release_private(fl)	compat_release_lock(fl)
#endif

#endif
