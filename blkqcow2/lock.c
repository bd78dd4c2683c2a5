// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU-compatible image locks.
 *
 * QEMU marks what it does with an image, and what it does not let others do,
 * by shared locks on single bytes of the file, and finds conflicts by probing
 * those bytes for others' locks. The locks are OFD locks owned by the struct
 * file, so they live exactly as long as the driver holds it.
 */
#include <linux/filelock.h>
#include "qcow2.h"

/* Permissions, as offsets from the two bases. */
#define QCOW2_PERM_CONSISTENT_READ	BIT(0)
#define QCOW2_PERM_WRITE		BIT(1)
#define QCOW2_PERM_RESIZE		BIT(3)
#define QCOW2_NR_PERMS			4

#define QCOW2_BASE_USED			100
#define QCOW2_BASE_UNSHARED		200

static void qcow2_lock_byte(struct file *file, struct file_lock *fl, u64 byte,
			    int type)
{
	locks_init_lock(fl);
	fl->c.flc_file = file;
	fl->c.flc_owner = file;
	fl->c.flc_pid = current->tgid;
	fl->c.flc_flags = FL_POSIX | FL_OFDLCK;
	fl->c.flc_type = type;
	fl->fl_start = byte;
	fl->fl_end = byte;
}

static int qcow2_set_bytes(struct file *file, u64 base, u32 perms)
{
	int i, ret = 0;

	for (i = 0; i < QCOW2_NR_PERMS && !ret; i++) {
		struct file_lock fl;

		if (!(perms & BIT(i)))
			continue;
		qcow2_lock_byte(file, &fl, base + i, F_RDLCK);
		ret = vfs_lock_file(file, F_SETLK, &fl, NULL);
	}
	return ret;
}

/* -EAGAIN if somebody else holds one of the bytes. */
static int qcow2_probe_bytes(struct file *file, u64 base, u32 perms)
{
	int i, ret = 0;

	for (i = 0; i < QCOW2_NR_PERMS && !ret; i++) {
		struct file_lock fl;

		if (!(perms & BIT(i)))
			continue;
		qcow2_lock_byte(file, &fl, base + i, F_WRLCK);
		ret = vfs_test_lock(file, &fl);
		if (!ret && fl.c.flc_type != F_UNLCK)
			ret = -EAGAIN;
		locks_release_private(&fl);
	}
	return ret;
}

/**
 * qcow2_file_unlock() - release the image locks
 * @file: may hold some
 */
void qcow2_file_unlock(struct file *file)
{
	struct file_lock fl;

	/* All in one: to cut locks into pieces takes memory, and may fail. */
	qcow2_lock_byte(file, &fl, QCOW2_BASE_USED, F_UNLCK);
	fl.fl_end = QCOW2_BASE_UNSHARED + QCOW2_NR_PERMS - 1;
	vfs_lock_file(file, F_SETLK, &fl, NULL);
}

/**
 * qcow2_file_lock() - take the image locks that QEMU would take
 * @file: the file of a layer
 * @writable: as QEMU opens an image to write it, otherwise to read it
 * @err: receives the reason in words
 *
 * The own bytes first, then the probe: of two who come at once, at least one
 * sees the other.
 *
 * Context: may sleep.
 * Return: 0, -EAGAIN if the image is in use, or another negative errno.
 */
int qcow2_file_lock(struct file *file, bool writable, struct qcow2_err *err)
{
	u32 unshared = QCOW2_PERM_WRITE | QCOW2_PERM_RESIZE;
	u32 used = QCOW2_PERM_CONSISTENT_READ;
	int ret;

	if (writable)
		used |= QCOW2_PERM_WRITE | QCOW2_PERM_RESIZE;
	ret = qcow2_set_bytes(file, QCOW2_BASE_USED, used);
	if (!ret)
		ret = qcow2_set_bytes(file, QCOW2_BASE_UNSHARED, unshared);
	if (!ret)
		ret = qcow2_probe_bytes(file, QCOW2_BASE_UNSHARED, used);
	if (!ret)
		ret = qcow2_probe_bytes(file, QCOW2_BASE_USED, unshared);
	if (!ret)
		return 0;
	qcow2_file_unlock(file);
	if (ret == -EAGAIN)
		return qcow2_fail(err, ret,
				  "image is in use by another process (its %s lock is taken)",
				  writable ? "write" : "read");
	return qcow2_fail(err, ret, "cannot lock the image (error %d)", ret);
}
