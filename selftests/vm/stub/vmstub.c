// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that misbehaves on request, for the test of the harness:
 * echo WHAT > /sys/module/vmstub/parameters/provoke
 */

#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

static int vmstub_provoke(const char *what, const struct kernel_param *kp)
{
	if (sysfs_streq(what, "warning")) {
		WARN(1, "as requested\n");
	} else if (sysfs_streq(what, "oops")) {
		WRITE_ONCE(*(int *)8, 0);
	} else if (sysfs_streq(what, "atomic")) {
		preempt_disable();
		msleep(20);
		preempt_enable();
	} else if (sysfs_streq(what, "use-after-free")) {
		char *p = kmalloc(64, GFP_KERNEL);

		if (!p)
			return -ENOMEM;
		kfree(p);
		WRITE_ONCE(p[8], 1);
	} else if (sysfs_streq(what, "leak")) {
		void *p = kmalloc(64, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
	} else if (sysfs_streq(what, "hang")) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule();
	} else {
		return -EINVAL;
	}
	return 0;
}

static const struct kernel_param_ops vmstub_ops = {
	.set = vmstub_provoke,
};

module_param_cb(provoke, &vmstub_ops, NULL, 0200);
MODULE_PARM_DESC(provoke, "warning, oops, atomic, use-after-free, leak or hang");

static int __init vmstub_init(void)
{
	return 0;
}
module_init(vmstub_init);

static void __exit vmstub_exit(void)
{
}
module_exit(vmstub_exit);

MODULE_DESCRIPTION("Misbehaves on request, to test the test harness");
MODULE_LICENSE("GPL");
