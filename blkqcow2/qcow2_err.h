/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Errors in words: every refusal says what is wrong with which file.
 */
#ifndef _QCOW2_ERR_H
#define _QCOW2_ERR_H

#include <linux/compiler_attributes.h>
#include <linux/types.h>

/**
 * struct qcow2_err - where a reason in words is put
 * @len: bytes used in @text, without the NUL
 * @text: NUL-terminated
 */
struct qcow2_err {
	size_t len;
	char text[512];
};

__printf(3, 4)
int qcow2_fail(struct qcow2_err *err, int error, const char *fmt, ...);
__printf(2, 3)
void qcow2_err_prefix(struct qcow2_err *err, const char *fmt, ...);

#endif /* _QCOW2_ERR_H */
