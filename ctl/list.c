// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl list: the devices that there are, one line each
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "device.h"
#include "progress.h"
#include "qcow2ctl.h"
#include "table.h"
#include "utf8.h"

static const char list_usage[] =
"Usage: qcow2ctl list [OPTION...]\n"
"\n"
"Show the devices that there are.\n"
"\n"
"Options:\n"
" -b, --bytes           sizes in bytes\n"
" -J, --json            as JSON\n"
" -n, --noheadings      without headings\n"
" -o, --output COLUMN[,COLUMN...]\n"
"                       these columns; +COLUMN: in addition to the usual ones\n"
" -O, --output-all      all columns\n"
" -r, --raw             for programs: one space between columns, no padding\n"
" -h, --help            this text\n"
" -V, --version         the version\n"
" -v, --verbose         explain on standard error what is done\n"
"\n"
"Columns:\n"
" NAME          device\n"
" SIZE          capacity\n"
" RO            read-only\n"
" STATE         live, freezing, frozen, thawing, failed or detaching\n"
" LAYERS        number of layers, the active one included\n"
" IMAGE         file of the active layer\n"
" CLUSTER       cluster size of the active layer\n"
" VERSION       QCOW2 version of the active layer\n"
" LOG-SEC       logical block size\n"
" CACHE         bound of the metadata cache\n"
" CACHE-USED    what of it is in use\n"
" DEFERRED      detaches when nobody uses it any more\n"
" BUFFERED      a layer's file takes no direct I/O\n"
" NOSPACE       writes wait for space (see 'qcow2ctl resume')\n"
" FROZEN        seconds for which it has been frozen\n"
"\n"
"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static const struct option list_options[] = { TABLE_LONG, COMMON_LONG };

enum {
	COL_NAME, COL_SIZE, COL_RO, COL_STATE, COL_LAYERS, COL_IMAGE, COL_CLUSTER,
	COL_VERSION, COL_SECTOR, COL_CACHE, COL_CACHE_USED, COL_DEFERRED, COL_BUFFERED, COL_NOSPACE,
	COL_FROZEN,
	NR_COLUMNS,
};

/* The first of the columns above are shown if nothing else is asked for. */
#define NR_USUAL	(COL_IMAGE + 1)

static const struct column columns[NR_COLUMNS] = {
	[COL_NAME]	= { "name", TEXT },
	[COL_SIZE]	= { "size", SIZE },
	[COL_RO]	= { "ro", BOOLEAN },
	[COL_STATE]	= { "state", TEXT },
	[COL_LAYERS]	= { "layers", NUMBER },
	[COL_IMAGE]	= { "image", TEXT },
	[COL_CLUSTER]	= { "cluster", SIZE },
	[COL_VERSION]	= { "version", NUMBER },
	[COL_SECTOR]	= { "log-sec", NUMBER },
	[COL_CACHE]	= { "cache", SIZE },
	[COL_CACHE_USED] = { "cache-used", SIZE },
	[COL_DEFERRED]	= { "deferred", BOOLEAN },
	[COL_BUFFERED]	= { "buffered", BOOLEAN },
	[COL_NOSPACE]	= { "nospace", BOOLEAN },
	[COL_FROZEN]	= { "frozen", NUMBER },
};

/* One line is one device. */
struct line {
	struct qcow2_ctl_info info;
	char path[QCOW2_PATH_MAX];
};

static char *cell(const struct table *t, int column, const void *data)
{
	const struct line *line = data;
	const struct qcow2_ctl_info *info = &line->info;

	switch (column) {
	case COL_NAME:
		return text_format(DEVICE_FORMAT, info->index);
	case COL_SIZE:
		return text_size(info->size_bytes, t->bytes);
	case COL_RO:
		return text_bool(info->dev_flags & QCOW2_DEV_F_READONLY);
	case COL_STATE:
		return strdup(state_name(info->state));
	case COL_LAYERS:
		return text_format("%u", info->nr_layers);
	case COL_IMAGE:
		return t->json ? utf8_dup(line->path) : strdup(line->path);
	case COL_CLUSTER:
		return text_size(1ull << (info->layer_cluster_bits & 63), t->bytes);
	case COL_VERSION:
		return text_format("%u", info->layer_version);
	case COL_SECTOR:
		return text_format("%u", info->logical_block_size);
	case COL_CACHE:
		return text_size(info->cache_bytes, t->bytes);
	case COL_CACHE_USED:
		return text_size(info->cache_used, t->bytes);
	case COL_DEFERRED:
		return text_bool(info->dev_flags & QCOW2_DEV_F_DEFERRED);
	case COL_BUFFERED:
		return text_bool(info->dev_flags & QCOW2_DEV_F_BUFFERED);
	case COL_NOSPACE:
		return text_bool(info->dev_flags & QCOW2_DEV_F_NOSPACE);
	case COL_FROZEN:
		return text_seconds(info->frozen_ns);
	default:
		return NULL;
	}
}

static int fill(struct libscols_table *table, const struct table *t, struct control *control)
{
	struct line line = { .info.index = -1 };
	int ret;

	while ((ret = control_next(control, &line.info, line.path)) > 0) {
		ret = table_add(table, t, cell, &line);
		if (ret) {
			complain("out of memory");
			return ret;
		}
	}
	if (ret)
		complain("%s", control->text);
	return ret;
}

static int list(const struct table *t)
{
	struct libscols_table *table;
	struct control control;
	struct message why;
	int ret;

	if (control_open(&control, &why)) {
		complain("%s", why.text);
		return EXIT_FAILED;
	}
	step_begin("asking the driver which devices there are");
	table = table_new(t);
	if (table) {
		ret = fill(table, t, &control);
	} else {
		complain("out of memory");
		ret = -ENOMEM;
	}
	step_end();
	if (!ret)
		scols_print_table(table);
	scols_unref_table(table);
	control_close(&control);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int run_list(const struct command *self, int argc, char **argv)
{
	struct table t = {
		.name = "qcow2devices", .columns = columns, .nr_columns = NR_COLUMNS,
	};
	int c, i, status;

	for (i = 0; i < NR_USUAL; i++)
		table_show(&t, i);
	while ((c = getopt_long(argc, argv, TABLE_SHORT COMMON_SHORT, list_options,
				NULL)) != -1) {
		status = table_option(&t, c);
		if (status == -2)
			status = common_option(self, c);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return usage_error("%s: list takes no arguments, see 'qcow2ctl info'",
				   argv[optind]);
	status = table_check(&t);
	return status >= 0 ? status : list(&t);
}

const struct command list_command = {
	.name = "list",
	.summary = "show the devices that there are",
	.usage = list_usage,
	.run = run_list,
};
