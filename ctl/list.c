// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl list: the devices that there are, one line each
 */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control.h"
#include "device.h"
#include "qcow2ctl.h"
#include "size.h"
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

static const struct option list_options[] = {
	{ "bytes", no_argument, NULL, 'b' },
	{ "json", no_argument, NULL, 'J' },
	{ "noheadings", no_argument, NULL, 'n' },
	{ "output", required_argument, NULL, 'o' },
	{ "output-all", no_argument, NULL, 'O' },
	{ "raw", no_argument, NULL, 'r' },
	COMMON_LONG
};

enum column {
	COL_NAME, COL_SIZE, COL_RO, COL_STATE, COL_LAYERS, COL_IMAGE, COL_CLUSTER,
	COL_VERSION, COL_SECTOR, COL_CACHE, COL_CACHE_USED, COL_DEFERRED, COL_BUFFERED, COL_NOSPACE,
	COL_FROZEN,
	NR_COLUMNS,
};

/* The first of the columns above are shown if nothing else is asked for. */
#define NR_DEFAULT	(COL_IMAGE + 1)

enum kind { TEXT, NUMBER, SIZE, BOOLEAN };

static const struct {
	const char *name;
	enum kind kind;
} columns[NR_COLUMNS] = {
	[COL_NAME]	= { "NAME", TEXT },
	[COL_SIZE]	= { "SIZE", SIZE },
	[COL_RO]	= { "RO", BOOLEAN },
	[COL_STATE]	= { "STATE", TEXT },
	[COL_LAYERS]	= { "LAYERS", NUMBER },
	[COL_IMAGE]	= { "IMAGE", TEXT },
	[COL_CLUSTER]	= { "CLUSTER", SIZE },
	[COL_VERSION]	= { "VERSION", NUMBER },
	[COL_SECTOR]	= { "LOG-SEC", NUMBER },
	[COL_CACHE]	= { "CACHE", SIZE },
	[COL_CACHE_USED] = { "CACHE-USED", SIZE },
	[COL_DEFERRED]	= { "DEFERRED", BOOLEAN },
	[COL_BUFFERED]	= { "BUFFERED", BOOLEAN },
	[COL_NOSPACE]	= { "NOSPACE", BOOLEAN },
	[COL_FROZEN]	= { "FROZEN", NUMBER },
};

/*
 * struct listing - what is asked for
 * @shown: the columns to show, in order
 * @nr_shown: how many
 */
struct listing {
	enum column shown[2 * NR_COLUMNS];
	unsigned int nr_shown;
	bool bytes;
	bool json;
	bool noheadings;
	bool raw;
};

static int find_column(const char *name, size_t len)
{
	int i;

	for (i = 0; i < NR_COLUMNS; i++)
		if (strlen(columns[i].name) == len && !strncasecmp(columns[i].name, name, len))
			return i;
	return -1;
}

static void show_first(struct listing *l, int nr)
{
	int i;

	l->nr_shown = 0;
	for (i = 0; i < nr; i++)
		l->shown[l->nr_shown++] = i;
}

static int parse_columns(struct listing *l, const char *names)
{
	size_t len;
	int column;

	l->nr_shown = 0;
	if (*names == '+') {
		show_first(l, NR_DEFAULT);
		names++;
	}
	for (;;) {
		len = strcspn(names, ",");
		column = find_column(names, len);
		if (column < 0)
			return usage_error("%.*s: no such column", (int)len, names);
		if (l->nr_shown == sizeof(l->shown) / sizeof(*l->shown))
			return usage_error("too many columns");
		l->shown[l->nr_shown++] = column;
		if (!names[len])
			return EXIT_OK;
		names += len + 1;
	}
}

/* A file's name as a column can show it. */
static char *image_text(const struct listing *l, const char *path)
{
	return l->json ? utf8_dup(path) : strdup(path);
}

static __printf(1, 2) char *format(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int ret;

	va_start(ap, fmt);
	ret = vasprintf(&text, fmt, ap);
	va_end(ap);
	return ret < 0 ? NULL : text;
}

static char *size_text(const struct listing *l, unsigned long long bytes)
{
	char text[SIZE_TEXT];

	if (l->bytes)
		return format("%llu", bytes);
	size_format(bytes, text);
	return strdup(text);
}

static char *bool_text(bool value)
{
	return strdup(value ? "1" : "0");
}

/* One cell, to be freed, or NULL when out of memory. */
static char *cell(const struct listing *l, enum column column,
		  const struct qcow2_ctl_info *info, const char *path)
{
	switch (column) {
	case COL_NAME:
		return format(DEVICE_FORMAT, info->index);
	case COL_SIZE:
		return size_text(l, info->size_bytes);
	case COL_RO:
		return bool_text(info->dev_flags & QCOW2_DEV_F_READONLY);
	case COL_STATE:
		return strdup(state_name(info->state));
	case COL_LAYERS:
		return format("%u", info->nr_layers);
	case COL_IMAGE:
		return image_text(l, path);
	case COL_CLUSTER:
		return size_text(l, 1ull << (info->layer_cluster_bits & 63));
	case COL_VERSION:
		return format("%u", info->layer_version);
	case COL_SECTOR:
		return format("%u", info->logical_block_size);
	case COL_CACHE:
		return size_text(l, info->cache_bytes);
	case COL_CACHE_USED:
		return size_text(l, info->cache_used);
	case COL_DEFERRED:
		return bool_text(info->dev_flags & QCOW2_DEV_F_DEFERRED);
	case COL_BUFFERED:
		return bool_text(info->dev_flags & QCOW2_DEV_F_BUFFERED);
	case COL_NOSPACE:
		return bool_text(info->dev_flags & QCOW2_DEV_F_NOSPACE);
	case COL_FROZEN:
		return format("%llu.%03llu", info->frozen_ns / 1000000000ull,
			      info->frozen_ns / 1000000ull % 1000);
	default:
		return NULL;
	}
}

static int json_type(const struct listing *l, enum kind kind)
{
	switch (kind) {
	case NUMBER:
		return SCOLS_JSON_NUMBER;
	case SIZE:
		return l->bytes ? SCOLS_JSON_NUMBER : SCOLS_JSON_STRING;
	case BOOLEAN:
		return SCOLS_JSON_BOOLEAN;
	default:
		return SCOLS_JSON_STRING;
	}
}

static int add_column(struct libscols_table *table, const struct listing *l,
		      enum column column)
{
	int flags = columns[column].kind == TEXT ? 0 : SCOLS_FL_RIGHT;
	struct libscols_column *cl;

	cl = scols_table_new_column(table, columns[column].name, 0, flags);
	if (!cl)
		return -ENOMEM;
	return scols_column_set_json_type(cl, json_type(l, columns[column].kind));
}

static struct libscols_table *make_table(const struct listing *l)
{
	struct libscols_table *table = scols_new_table();
	unsigned int i;

	if (!table)
		return NULL;
	scols_table_enable_raw(table, l->raw);
	scols_table_enable_json(table, l->json);
	scols_table_enable_noheadings(table, l->noheadings);
	if (scols_table_set_name(table, "qcow2devices"))
		goto fail;
	for (i = 0; i < l->nr_shown; i++)
		if (add_column(table, l, l->shown[i]))
			goto fail;
	return table;
fail:
	scols_unref_table(table);
	return NULL;
}

static int add_line(struct libscols_table *table, const struct listing *l,
		    const struct qcow2_ctl_info *info, const char *path)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	unsigned int i;
	char *text;

	if (!line)
		return -ENOMEM;
	for (i = 0; i < l->nr_shown; i++) {
		text = cell(l, l->shown[i], info, path);
		if (!text)
			return -ENOMEM;
		if (scols_line_refer_data(line, i, text)) {
			free(text);
			return -ENOMEM;
		}
	}
	return 0;
}

static int fill_table(struct libscols_table *table, const struct listing *l,
		      struct control *control)
{
	struct qcow2_ctl_info info = { .index = -1 };
	char path[QCOW2_PATH_MAX];
	int ret;

	while ((ret = control_next(control, &info, path)) > 0) {
		ret = add_line(table, l, &info, path);
		if (ret) {
			complain("out of memory");
			return ret;
		}
	}
	if (ret)
		complain("%s", control->text);
	return ret;
}

static int list(const struct listing *l)
{
	struct libscols_table *table;
	struct control control;
	struct message why;
	int ret;

	if (control_open(&control, &why)) {
		complain("%s", why.text);
		return EXIT_FAILED;
	}
	table = make_table(l);
	if (table) {
		ret = fill_table(table, l, &control);
		if (!ret)
			scols_print_table(table);
		scols_unref_table(table);
	} else {
		complain("out of memory");
		ret = -ENOMEM;
	}
	control_close(&control);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static int run_list(const struct command *self, int argc, char **argv)
{
	struct listing l = { 0 };
	int c, status;

	show_first(&l, NR_DEFAULT);
	while ((c = getopt_long(argc, argv, "bJno:Or" COMMON_SHORT, list_options, NULL)) != -1) {
		switch (c) {
		case 'b':
			l.bytes = true;
			break;
		case 'J':
			l.json = true;
			break;
		case 'n':
			l.noheadings = true;
			break;
		case 'o':
			status = parse_columns(&l, optarg);
			if (status)
				return status;
			break;
		case 'O':
			show_first(&l, NR_COLUMNS);
			break;
		case 'r':
			l.raw = true;
			break;
		default:
			status = common_option(self, c);
			if (status >= 0)
				return status;
		}
	}
	if (optind < argc)
		return usage_error("%s: list takes no arguments, see 'qcow2ctl info'",
				   argv[optind]);
	if (l.json && l.raw)
		return usage_error("--json and --raw exclude each other");
	return list(&l);
}

const struct command list_command = {
	.name = "list",
	.summary = "show the devices that there are",
	.usage = list_usage,
	.run = run_list,
};
