// SPDX-License-Identifier: GPL-2.0-only
/*
 * blkqcow2: QCOW2 images as block devices.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include "qcow2.h"

static int __init qcow2_init(void)
{
	int ret;

	qcow2_request_module_init();
	ret = qcow2_device_module_init();
	if (ret)
		return ret;
	ret = qcow2_control_init();
	if (ret)
		qcow2_device_module_exit();
	return ret;
}

static void __exit qcow2_exit(void)
{
	qcow2_control_exit();
	qcow2_device_module_exit();
	/* Slices are freed by callbacks in this module. */
	rcu_barrier();
}

module_init(qcow2_init);
module_exit(qcow2_exit);

MODULE_DESCRIPTION("QCOW2 images as block devices");
MODULE_LICENSE("GPL");
