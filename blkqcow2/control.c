// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/qcow2-control: ioctls in, checks, errors with words out.
 */
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "qcow2.h"

/* What all commands' arguments have in common, larger than any of them. */
union qcow2_ctl_arg {
	struct qcow2_ctl_head head;
	struct qcow2_ctl_attach attach;
	struct qcow2_ctl_detach detach;
	struct qcow2_ctl_freeze freeze;
	struct qcow2_ctl_thaw thaw;
	struct qcow2_ctl_info info;
	struct qcow2_ctl_resume resume;
};

/**
 * struct qcow2_ctl_cmd - a command
 * @size: of its argument in bytes
 * @least: of the smallest argument that it takes
 * @flags: that it knows
 * @copy_out: its argument is an answer too
 * @run: carries it out
 */
struct qcow2_ctl_cmd {
	size_t size;
	size_t least;
	u32 flags;
	bool copy_out;
	int (*run)(union qcow2_ctl_arg *arg, struct qcow2_err *err);
};

static struct qcow2_chain *qcow2_ctl_chain(u64 layers, u32 nr,
					   struct qcow2_err *err)
{
	struct qcow2_ctl_layer *copy;
	struct qcow2_chain *chain;

	if (!nr || nr > QCOW2_MAX_LAYERS) {
		qcow2_fail(err, -EINVAL, "a chain has 1 to %u layers, not %u",
			   QCOW2_MAX_LAYERS, nr);
		return ERR_PTR(-EINVAL);
	}
	copy = memdup_array_user(u64_to_user_ptr(layers), nr, sizeof(*copy));
	if (IS_ERR(copy))
		return ERR_CAST(copy);
	chain = qcow2_chain_get(copy, nr, err);
	kfree(copy);
	return chain;
}

static struct qcow2_dev *qcow2_ctl_find(s32 index, bool or_next,
					struct qcow2_err *err)
{
	struct qcow2_dev *dev = qcow2_dev_find(index, or_next);

	if (!dev)
		qcow2_fail(err, -ENODEV, "/dev/qcow2%d does not exist", index);
	return dev;
}

static int qcow2_ctl_attach(union qcow2_ctl_arg *arg, struct qcow2_err *err)
{
	struct qcow2_ctl_attach *a = &arg->attach;
	struct qcow2_chain *chain;
	int ret;

	if (a->index < -1 || a->index > (s32)MINORMASK)
		return qcow2_fail(err, -EINVAL, "device number %d is out of range",
				  a->index);
	chain = qcow2_ctl_chain(a->layers, a->nr_layers, err);
	if (IS_ERR(chain))
		return PTR_ERR(chain);
	ret = qcow2_dev_attach(chain, a->head.flags, &a->index, a->cache_bytes,
			       err);
	if (ret)
		qcow2_chain_put(chain);
	return ret;
}

static int qcow2_ctl_detach(union qcow2_ctl_arg *arg, struct qcow2_err *err)
{
	struct qcow2_dev *dev;
	int ret;

	if (arg->detach.reserved)
		return qcow2_fail(err, -EINVAL, "reserved field is not zero");
	dev = qcow2_ctl_find(arg->detach.index, false, err);
	if (!dev)
		return -ENODEV;
	ret = qcow2_dev_detach(dev, arg->head.flags, err);
	qcow2_dev_put(dev);
	return ret;
}

static struct qcow2_mounts *qcow2_ctl_mounts(u64 fds, u32 nr)
{
	struct qcow2_mounts *mounts;
	s32 *copy;
	u32 i;

	if (nr > QCOW2_MAX_MOUNTS)
		return ERR_PTR(-E2BIG);
	copy = memdup_array_user(u64_to_user_ptr(fds), nr, sizeof(*copy));
	if (IS_ERR(copy))
		return ERR_CAST(copy);
	mounts = kzalloc(struct_size(mounts, files, nr), GFP_KERNEL);
	if (!mounts) {
		kfree(copy);
		return ERR_PTR(-ENOMEM);
	}
	mounts->nr = nr;
	for (i = 0; i < nr; i++) {
		mounts->files[i] = fget(copy[i]);
		if (mounts->files[i])
			continue;
		qcow2_mounts_put(mounts);
		mounts = ERR_PTR(-EBADF);
		break;
	}
	kfree(copy);
	return mounts;
}

static int qcow2_ctl_freeze(union qcow2_ctl_arg *arg, struct qcow2_err *err)
{
	struct qcow2_mounts *mounts = NULL;
	struct qcow2_dev *dev;
	int ret;

	if (arg->freeze.reserved)
		return qcow2_fail(err, -EINVAL, "reserved field is not zero");
	dev = qcow2_ctl_find(arg->freeze.index, false, err);
	if (!dev)
		return -ENODEV;
	if (arg->freeze.nr_mounts)
		mounts = qcow2_ctl_mounts(arg->freeze.mounts,
					  arg->freeze.nr_mounts);
	if (IS_ERR(mounts))
		ret = qcow2_fail(err, PTR_ERR(mounts),
				 "cannot take over the file systems to freeze (error %ld)",
				 PTR_ERR(mounts));
	else
		ret = qcow2_dev_freeze(dev, &arg->freeze, mounts, err);
	qcow2_dev_put(dev);
	return ret;
}

static int qcow2_ctl_thaw(union qcow2_ctl_arg *arg, struct qcow2_err *err)
{
	struct qcow2_chain *chain = NULL;
	struct qcow2_dev *dev;
	int ret;

	if (arg->thaw.nr_layers) {
		chain = qcow2_ctl_chain(arg->thaw.layers, arg->thaw.nr_layers,
					err);
		if (IS_ERR(chain))
			return PTR_ERR(chain);
	}
	ret = -ENODEV;
	dev = qcow2_ctl_find(arg->thaw.index, false, err);
	if (dev) {
		ret = qcow2_dev_thaw(dev, chain, arg->head.flags,
				     arg->thaw.window, err);
		qcow2_dev_put(dev);
	}
	if (ret)
		qcow2_chain_put(chain);
	return ret;
}

static int qcow2_ctl_resume(union qcow2_ctl_arg *arg, struct qcow2_err *err)
{
	struct qcow2_dev *dev;
	int ret;

	if (arg->resume.reserved)
		return qcow2_fail(err, -EINVAL, "reserved field is not zero");
	dev = qcow2_ctl_find(arg->resume.index, false, err);
	if (!dev)
		return -ENODEV;
	ret = qcow2_dev_resume(dev, err);
	qcow2_dev_put(dev);
	return ret;
}

static int qcow2_ctl_path(const struct qcow2_ctl_info *info, const char *path)
{
	size_t len = strlen(path) + 1;

	if (!info->path)
		return 0;
	if (len > info->path_len)
		return -ENAMETOOLONG;
	if (copy_to_user(u64_to_user_ptr(info->path), path, len))
		return -EFAULT;
	return 0;
}

static int qcow2_ctl_info(union qcow2_ctl_arg *arg, struct qcow2_err *err)
{
	struct qcow2_ctl_info *info = &arg->info;
	struct qcow2_ctl_info in = *info;
	bool next = in.head.flags & QCOW2_INFO_F_NEXT;
	struct qcow2_dev *dev;
	char *buf, *path;
	int ret;

	if (in.reserved)
		return qcow2_fail(err, -EINVAL, "reserved field is not zero");
	buf = kmalloc(QCOW2_PATH_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	do {
		ret = -ENODEV;
		dev = qcow2_ctl_find(in.index, next, err);
		if (!dev)
			break;
		*info = (struct qcow2_ctl_info){
			.head = in.head,
			.layer = in.layer,
			.path = in.path,
			.path_len = in.path_len,
		};
		ret = qcow2_dev_info(dev, info, buf, &path, err);
		in.index = dev->index + 1;
		qcow2_dev_put(dev);
		/* It may have been detached just now. */
	} while (ret == -ENODEV && next);
	/* Not under the device's lock: a page fault may need the device. */
	if (!ret)
		ret = qcow2_ctl_path(info, path);
	kfree(buf);
	return ret;
}

static const struct qcow2_ctl_cmd qcow2_ctl_cmds[] = {
	[_IOC_NR(QCOW2_CTL_ATTACH)] = {
		.size = sizeof(struct qcow2_ctl_attach),
		.least = QCOW2_CTL_ATTACH_SIZE_VER0,
		.flags = QCOW2_ATTACH_F_READONLY | QCOW2_ATTACH_F_PARK,
		.copy_out = true,
		.run = qcow2_ctl_attach,
	},
	[_IOC_NR(QCOW2_CTL_DETACH)] = {
		.size = sizeof(struct qcow2_ctl_detach),
		.least = QCOW2_CTL_DETACH_SIZE_VER0,
		.flags = QCOW2_DETACH_F_DEFERRED | QCOW2_DETACH_F_FORCE,
		.run = qcow2_ctl_detach,
	},
	[_IOC_NR(QCOW2_CTL_FREEZE)] = {
		.size = sizeof(struct qcow2_ctl_freeze),
		.least = QCOW2_CTL_FREEZE_SIZE_VER0,
		.flags = QCOW2_FREEZE_F_NO_FS | QCOW2_FREEZE_F_FAIL,
		.copy_out = true,
		.run = qcow2_ctl_freeze,
	},
	[_IOC_NR(QCOW2_CTL_THAW)] = {
		.size = sizeof(struct qcow2_ctl_thaw),
		.least = QCOW2_CTL_THAW_SIZE_VER0,
		.flags = QCOW2_THAW_F_IMAGE | QCOW2_THAW_F_SHRINK,
		.run = qcow2_ctl_thaw,
	},
	[_IOC_NR(QCOW2_CTL_INFO)] = {
		.size = sizeof(struct qcow2_ctl_info),
		.least = QCOW2_CTL_INFO_SIZE_VER0,
		.flags = QCOW2_INFO_F_NEXT | QCOW2_INFO_F_DATA_PATH |
			 QCOW2_INFO_F_REASON,
		.copy_out = true,
		.run = qcow2_ctl_info,
	},
	[_IOC_NR(QCOW2_CTL_RESUME)] = {
		.size = sizeof(struct qcow2_ctl_resume),
		.least = QCOW2_CTL_RESUME_SIZE_VER0,
		.run = qcow2_ctl_resume,
	},
};

static int qcow2_ctl_run(const struct qcow2_ctl_cmd *cmd,
			 union qcow2_ctl_arg *arg, struct qcow2_err *err)
{
	if (arg->head.flags & ~cmd->flags)
		return qcow2_fail(err, -EINVAL, "unknown flags 0x%x",
				  arg->head.flags & ~cmd->flags);
	if (arg->head.reserved)
		return qcow2_fail(err, -EINVAL, "reserved field is not zero");
	return cmd->run(arg, err);
}

static int qcow2_ctl_tell(const struct qcow2_ctl_head *head,
			  const struct qcow2_err *err)
{
	size_t len = min_t(size_t, head->err_len, err->len + 1);
	char __user *buf = u64_to_user_ptr(head->err_buf);

	if (!head->err_buf || !len)
		return 0;
	if (copy_to_user(buf, err->text, len - 1) || put_user(0, buf + len - 1))
		return -EFAULT;
	return 0;
}

static long qcow2_ctl_ioctl(struct file *file, unsigned int nr,
			    unsigned long uarg)
{
	void __user *user = (void __user *)uarg;
	const struct qcow2_ctl_cmd *cmd;
	struct qcow2_err *err;
	union qcow2_ctl_arg arg;
	size_t bytes;
	u32 size;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (_IOC_TYPE(nr) != _IOC_TYPE(QCOW2_CTL_INFO) ||
	    _IOC_NR(nr) >= ARRAY_SIZE(qcow2_ctl_cmds))
		return -ENOTTY;
	cmd = &qcow2_ctl_cmds[array_index_nospec(_IOC_NR(nr),
						 ARRAY_SIZE(qcow2_ctl_cmds))];
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < cmd->least)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(&arg, 0, sizeof(arg));
	ret = copy_struct_from_user(&arg, cmd->size, user, size);
	if (ret)
		return ret;
	bytes = cmd->copy_out ? min_t(size_t, size, cmd->size) : 0;
	err = kzalloc_obj(*err);
	if (!err)
		return -ENOMEM;
	/* First see whether the answer can be given: what is done is done. */
	ret = -EFAULT;
	if (!copy_to_user(user, &arg, bytes) && !qcow2_ctl_tell(&arg.head, err)) {
		ret = qcow2_ctl_run(cmd, &arg, err);
		if (!ret && copy_to_user(user, &arg, bytes))
			ret = -EFAULT;
		if (qcow2_ctl_tell(&arg.head, err) && !ret)
			ret = -EFAULT;
	}
	kfree(err);
	return ret;
}

static const struct file_operations qcow2_ctl_fops = {
	.owner		= THIS_MODULE,
	.open		= nonseekable_open,
	.unlocked_ioctl	= qcow2_ctl_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice qcow2_ctl_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= QCOW2_CONTROL_NAME,
	.fops	= &qcow2_ctl_fops,
	.mode	= 0600,
};

/**
 * qcow2_control_event() - tell userspace of something
 * @env: of the event: "KEY=value" and a NULL at the end
 *
 * Context: may sleep.
 */
void qcow2_control_event(char **env)
{
	kobject_uevent_env(&qcow2_ctl_misc.this_device->kobj, KOBJ_CHANGE, env);
}

/**
 * qcow2_control_init() - make the control device appear
 *
 * Return: 0 or a negative errno.
 */
int qcow2_control_init(void)
{
	/* The same layout for 32 and 64 bit callers. */
	BUILD_BUG_ON(sizeof(struct qcow2_ctl_head) != 24);
	BUILD_BUG_ON(sizeof(struct qcow2_ctl_layer) != 16);
	BUILD_BUG_ON(sizeof(struct qcow2_ctl_attach) !=
		     QCOW2_CTL_ATTACH_SIZE_VER0);
	BUILD_BUG_ON(sizeof(struct qcow2_ctl_detach) !=
		     QCOW2_CTL_DETACH_SIZE_VER0);
	BUILD_BUG_ON(sizeof(struct qcow2_ctl_freeze) !=
		     QCOW2_CTL_FREEZE_SIZE_VER0);
	BUILD_BUG_ON(sizeof(struct qcow2_ctl_thaw) !=
		     QCOW2_CTL_THAW_SIZE_VER0);
	BUILD_BUG_ON(sizeof(struct qcow2_ctl_info) !=
		     QCOW2_CTL_INFO_SIZE_VER0);
	BUILD_BUG_ON(sizeof(struct qcow2_ctl_resume) !=
		     QCOW2_CTL_RESUME_SIZE_VER0);
	return misc_register(&qcow2_ctl_misc);
}

/**
 * qcow2_control_exit() - remove the control device
 */
void qcow2_control_exit(void)
{
	misc_deregister(&qcow2_ctl_misc);
}
