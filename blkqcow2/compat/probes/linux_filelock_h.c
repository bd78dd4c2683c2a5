// SPDX-License-Identifier: GPL-2.0-only
/* v6.3, 5970e15dbcfe: filelock: move file locking definitions to separate header file */
#include <linux/filelock.h>
