// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/stdarg.h>
#include <linux/string.h>
#include "qcow2_err.h"

/**
 * qcow2_fail() - state a reason
 * @err: receives the text; may be NULL
 * @error: negative errno
 * @fmt: printf format of the reason, without a final newline
 *
 * Return: @error, so that it can be the operand of a return.
 */
int qcow2_fail(struct qcow2_err *err, int error, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return error;
	va_start(args, fmt);
	err->len = vscnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return error;
}

/**
 * qcow2_err_prefix() - say what a reason is about
 * @err: holds a reason; may be NULL
 * @fmt: printf format of what is put before it
 */
void qcow2_err_prefix(struct qcow2_err *err, const char *fmt, ...)
{
	char reason[sizeof(err->text)];
	va_list args;

	if (!err)
		return;
	memcpy(reason, err->text, err->len + 1);
	va_start(args, fmt);
	err->len = vscnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	err->len += scnprintf(err->text + err->len,
			      sizeof(err->text) - err->len, "%s", reason);
}
