// SPDX-License-Identifier: GPL-2.0-only
/* freeze_super() and thaw_super() with an owner: since 6.16 */
#include <linux/fs.h>

int probe(struct super_block *sb);
int probe(struct super_block *sb)
{
	return freeze_super(sb, FREEZE_HOLDER_USERSPACE, NULL);
}
