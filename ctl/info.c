// SPDX-License-Identifier: GPL-2.0-only
/*
 * qcow2ctl info: all about one device and its layers
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "device.h"
#include "freeze.h"
#include "header.h"
#include "progress.h"
#include "qcow2ctl.h"
#include "table.h"
#include "udev.h"
#include "utf8.h"

static const char info_usage[] =
"Usage: qcow2ctl info [OPTION...] DEV\n"
"\n"
"Show what there is to know about a device and the layers of its image: as lines\n"
"'column: value', as JSON, or as a table.\n"
"\n"
"Options:\n"
" -b, --bytes           sizes in bytes only (so they always are in JSON)\n"
" -J, --json            as JSON, in which the layers are an array\n"
" -n, --noheadings      as a table without headings\n"
" -o, --output COLUMN[,COLUMN...]\n"
"                       these columns, as a table unless --json is given;\n"
"                       +COLUMN: in addition to those that a table usually has\n"
" -O, --output-all      as a table of all columns\n"
" -r, --raw             as a table for programs: one space between columns\n"
" -u, --udev            what udev names the device by: its number, the image's\n"
"                       file name, and the name that it has in /etc/qcow2tab\n"
" -h, --help            this text\n"
" -V, --version         the version\n"
" -v, --verbose         explain on standard error what is done\n"
"\n"
"Columns of the device:\n"
" NAME                    device\n"
" STATE                   live, freezing, frozen, thawing, failed or detaching\n"
" REASON                  why it has failed, or was not thawed\n"
" FROZEN-SECONDS          for how long it has been frozen\n"
" FILE-SYSTEMS-FROZEN     file systems on it are frozen with it\n"
" SIZE                    capacity\n"
" LOGICAL-BLOCK-SIZE      of the disk\n"
" READ-ONLY               can only be read\n"
" DEFERRED-DETACH         detaches when nobody uses it any more\n"
" BUFFERED                a layer's file takes no direct I/O\n"
" PARKS-WITHOUT-SPACE     was attached with --on-enospc=park\n"
" WAITS-FOR-SPACE         writes wait for space (see 'qcow2ctl resume')\n"
" CACHE                   bound of the metadata cache\n"
" CACHE-USED              what of it is in use\n"
" COMMITS                 metadata commits since attach\n"
" FLUSHES                 flushes sent to the active layer's file since attach\n"
" CLUSTERS-ALLOCATED      since attach\n"
" CLUSTERS-FREED          since attach\n"
" CLUSTERS-DECOMPRESSED   since attach\n"
" REQUESTS-DIRECT         requests that took the short way\n"
" REQUESTS-WORKER         requests that took a worker\n"
" LAYERS                  number of layers, the active one included\n"
"\n"
"Columns of the layers; a table with one of these has a line for each layer:\n"
" LAYER                   number, 0 is the active one\n"
" FILE                    the file\n"
" DATA-FILE               the external data file\n"
" FORMAT                  qcow2 or raw\n"
" VIRTUAL-SIZE            of the layer\n"
" VERSION                 QCOW2 version\n"
" CLUSTER-SIZE            of the layer\n"
" REFCOUNT-BITS           width of a refcount\n"
" INCOMPATIBLE-FEATURES   feature bits of the header\n"
" COMPATIBLE-FEATURES     likewise\n"
" AUTOCLEAR-FEATURES      likewise\n"
"\n"
"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static const struct option info_options[] = {
	{ "udev", no_argument, NULL, 'u' },
	TABLE_LONG,
	COMMON_LONG
};

enum {
	COL_NAME, COL_STATE, COL_REASON, COL_FROZEN, COL_FS_FROZEN, COL_SIZE, COL_SECTOR,
	COL_READONLY, COL_DEFERRED, COL_BUFFERED, COL_PARK, COL_NOSPACE, COL_CACHE,
	COL_CACHE_USED, COL_COMMITS, COL_FLUSHES, COL_ALLOCATED, COL_FREED, COL_INFLATED,
	COL_DIRECT, COL_WORKER, COL_LAYERS,
	/* From here on of a layer, and from COL_VERSION on of a qcow2 layer. */
	COL_LAYER, COL_FILE, COL_DATA_FILE, COL_FORMAT, COL_VIRTUAL_SIZE, COL_VERSION,
	COL_CLUSTER, COL_REFCOUNT, COL_INCOMPATIBLE, COL_COMPATIBLE, COL_AUTOCLEAR,
	NR_COLUMNS,
};

static const struct column columns[NR_COLUMNS] = {
	[COL_NAME]	= { "name", TEXT },
	[COL_STATE]	= { "state", TEXT },
	[COL_REASON]	= { "reason", TEXT },
	[COL_FROZEN]	= { "frozen-seconds", NUMBER },
	[COL_FS_FROZEN]	= { "file-systems-frozen", BOOLEAN },
	[COL_SIZE]	= { "size", SIZE },
	[COL_SECTOR]	= { "logical-block-size", NUMBER },
	[COL_READONLY]	= { "read-only", BOOLEAN },
	[COL_DEFERRED]	= { "deferred-detach", BOOLEAN },
	[COL_BUFFERED]	= { "buffered", BOOLEAN },
	[COL_PARK]	= { "parks-without-space", BOOLEAN },
	[COL_NOSPACE]	= { "waits-for-space", BOOLEAN },
	[COL_CACHE]	= { "cache", SIZE },
	[COL_CACHE_USED] = { "cache-used", SIZE },
	[COL_COMMITS]	= { "commits", NUMBER },
	[COL_FLUSHES]	= { "flushes", NUMBER },
	[COL_ALLOCATED]	= { "clusters-allocated", NUMBER },
	[COL_FREED]	= { "clusters-freed", NUMBER },
	[COL_INFLATED]	= { "clusters-decompressed", NUMBER },
	[COL_DIRECT]	= { "requests-direct", NUMBER },
	[COL_WORKER]	= { "requests-worker", NUMBER },
	[COL_LAYERS]	= { "layers", NUMBER },
	[COL_LAYER]	= { "layer", NUMBER },
	[COL_FILE]	= { "file", TEXT },
	[COL_DATA_FILE]	= { "data-file", TEXT },
	[COL_FORMAT]	= { "format", TEXT },
	[COL_VIRTUAL_SIZE] = { "virtual-size", SIZE },
	[COL_VERSION]	= { "version", NUMBER },
	[COL_CLUSTER]	= { "cluster-size", SIZE },
	[COL_REFCOUNT]	= { "refcount-bits", NUMBER },
	[COL_INCOMPATIBLE] = { "incompatible-features", TEXT },
	[COL_COMPATIBLE] = { "compatible-features", TEXT },
	[COL_AUTOCLEAR]	= { "autoclear-features", TEXT },
};

/* What a table has if no columns are asked for. */
static const int usual[] = {
	COL_NAME, COL_STATE, COL_SIZE, COL_READONLY, COL_LAYER, COL_FORMAT, COL_VIRTUAL_SIZE,
	COL_FILE,
};

/*
 * struct facts - what is known of a device and of one of its layers
 * @info: of the device, with the layer's part where that is of interest
 * @reason: why it has failed
 * @path: the layer's file
 * @data_path: its data file, "" if there is none
 */
struct facts {
	struct qcow2_ctl_info info;
	char reason[QCOW2_PATH_MAX];
	char path[QCOW2_PATH_MAX];
	char data_path[QCOW2_PATH_MAX];
};

/* Is there such a thing? */
static bool applies(const struct facts *x, int column)
{
	if (column == COL_DATA_FILE)
		return *x->data_path;
	return column < COL_VERSION || x->info.layer_format == QCOW2_FORMAT_QCOW2;
}

static uint64_t number(const struct qcow2_ctl_info *info, int column)
{
	switch (column) {
	case COL_SIZE:		return info->size_bytes;
	case COL_SECTOR:	return info->logical_block_size;
	case COL_CACHE:		return info->cache_bytes;
	case COL_CACHE_USED:	return info->cache_used;
	case COL_COMMITS:	return info->nr_commits;
	case COL_FLUSHES:	return info->nr_flushes;
	case COL_ALLOCATED:	return info->nr_allocated;
	case COL_FREED:		return info->nr_freed;
	case COL_INFLATED:	return info->nr_inflated;
	case COL_DIRECT:	return info->nr_direct;
	case COL_WORKER:	return info->nr_worker;
	case COL_LAYERS:	return info->nr_layers;
	case COL_LAYER:		return info->layer;
	case COL_VIRTUAL_SIZE:	return info->layer_virtual_size;
	case COL_VERSION:	return info->layer_version;
	case COL_CLUSTER:	return 1ull << (info->layer_cluster_bits & 63);
	case COL_REFCOUNT:	return info->layer_refcount_bits;
	case COL_INCOMPATIBLE:	return info->layer_incompatible;
	case COL_COMPATIBLE:	return info->layer_compatible;
	default:		return info->layer_autoclear;
	}
}

static bool flag(const struct qcow2_ctl_info *info, int column)
{
	static const unsigned int bits[NR_COLUMNS] = {
		[COL_FS_FROZEN]	= QCOW2_DEV_F_FS_FROZEN,
		[COL_READONLY]	= QCOW2_DEV_F_READONLY,
		[COL_DEFERRED]	= QCOW2_DEV_F_DEFERRED,
		[COL_BUFFERED]	= QCOW2_DEV_F_BUFFERED,
		[COL_PARK]	= QCOW2_DEV_F_PARK,
		[COL_NOSPACE]	= QCOW2_DEV_F_NOSPACE,
	};

	return info->dev_flags & bits[column];
}

static char *text(const struct facts *x, int column)
{
	switch (column) {
	case COL_NAME:
		return text_format(DEVICE_FORMAT, x->info.index);
	case COL_STATE:
		return strdup(state_name(x->info.state));
	case COL_REASON:
		return strdup(x->reason);
	case COL_FILE:
		return strdup(x->path);
	case COL_DATA_FILE:
		return strdup(x->data_path);
	case COL_FORMAT:
		return strdup(x->info.layer_format == QCOW2_FORMAT_QCOW2 ? "qcow2" : "raw");
	default:
		return text_format("0x%" PRIx64, number(&x->info, column));
	}
}

/* As a column of a table shows it. */
static char *cell(const struct table *t, int column, const void *line)
{
	const struct facts *x = line;

	if (!applies(x, column))
		return strdup("");
	if (column == COL_FROZEN)
		return text_seconds(x->info.frozen_ns);
	switch (columns[column].kind) {
	case TEXT:
		return text(x, column);
	case BOOLEAN:
		return text_bool(flag(&x->info, column));
	case NUMBER:
		return text_format("%" PRIu64, number(&x->info, column));
	default:
		return text_size(number(&x->info, column), t->bytes);
	}
}

/*
 * struct report - where the facts go, unless it is a table
 * @out: the stream
 * @json: as JSON, else as lines "key: value"
 * @bytes: sizes are not also said in a human way
 * @depth: how far to indent
 * @first: no comma is due
 */
struct report {
	FILE *out;
	bool json;
	bool bytes;
	unsigned int depth;
	bool first;
};

static void put_key(struct report *r, const char *key)
{
	const char *comma = r->json && !r->first ? ",\n" : "";
	unsigned int width = r->json ? 3 : 2;

	r->first = false;
	fprintf(r->out, "%s%*s", comma, (int)(r->depth * width), "");
	if (r->json)
		fprintf(r->out, "\"%s\": ", key);
	else
		fprintf(r->out, "%s: ", key);
}

static void put_json_string(const struct report *r, const char *text)
{
	char *clean = utf8_dup(text);
	const char *s;

	fputc('"', r->out);
	for (s = clean ? clean : ""; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(r->out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			fprintf(r->out, "\\u%04x", *s);
		else
			fputc(*s, r->out);
	}
	fputc('"', r->out);
	free(clean);
}

static void put_bool(const struct report *r, bool value)
{
	if (r->json)
		fputs(value ? "true" : "false", r->out);
	else
		fputs(value ? "yes" : "no", r->out);
}

/* The number is there already: this is for people. */
static void put_human_size(const struct report *r, uint64_t bytes)
{
	char *size = bytes < 1024 ? NULL : text_size(bytes, false);

	if (size)
		fprintf(r->out, " (%s)", size);
	free(size);
}

static void put_value(const struct report *r, const struct facts *x, int column)
{
	static const struct table exactly = { .bytes = true };
	enum kind kind = columns[column].kind;
	char *value;

	if (kind == BOOLEAN) {
		put_bool(r, flag(&x->info, column));
		return;
	}
	value = cell(&exactly, column, x);
	if (kind == TEXT && r->json)
		put_json_string(r, value ? value : "");
	else
		fputs_escaped(value ? value : "", r->out);
	free(value);
	if (kind == SIZE && !r->json && !r->bytes)
		put_human_size(r, number(&x->info, column));
}

static void put(struct report *r, const struct facts *x, int column)
{
	if (!applies(x, column))
		return;
	put_key(r, columns[column].name);
	put_value(r, x, column);
	if (!r->json)
		fputc('\n', r->out);
}

static void put_text(struct report *r, const struct facts *x)
{
	unsigned int i, nr = x->info.nr_layers;
	int column;

	for (column = 0; column < COL_LAYER; column++)
		put(r, x, column);
	r->depth++;
	for (i = 0; i < nr; i++, x++) {
		fprintf(r->out, "layer %u:\n", i);
		for (column = COL_FILE; column < NR_COLUMNS; column++)
			put(r, x, column);
	}
}

static bool is_chosen(const struct table *t, int first, int last)
{
	unsigned int i;

	for (i = 0; i < t->nr_shown; i++)
		if (t->shown[i] >= first && t->shown[i] <= last)
			return true;
	return false;
}

/* Is there something to say of the single layers? */
static bool has_layers(const struct table *t)
{
	return is_chosen(t, COL_LAYER, NR_COLUMNS - 1);
}

/*
 * Those columns that are chosen, each once, in our order. The layers are all of theirs,
 * unless some of these are chosen.
 */
static void put_json_object(struct report *r, const struct table *t, const struct facts *x,
			    int column, int end)
{
	bool all = column == COL_LAYER && !has_layers(t);

	fprintf(r->out, "%*s{\n", (int)r->depth * 3, "");
	r->depth++;
	r->first = true;
	for (; column < end; column++)
		if (all || is_chosen(t, column, column))
			put(r, x, column);
}

static void put_json_layers(struct report *r, const struct table *t, const struct facts *x)
{
	unsigned int i, nr = x->info.nr_layers;

	put_key(r, columns[COL_LAYERS].name);
	fputs("[\n", r->out);
	r->depth++;
	for (i = 0; i < nr; i++, x++) {
		put_json_object(r, t, x, COL_LAYER, NR_COLUMNS);
		r->depth--;
		fprintf(r->out, "\n%*s}%s\n", (int)r->depth * 3, "", i + 1 < nr ? "," : "");
	}
	r->depth--;
	fprintf(r->out, "%*s]", (int)r->depth * 3, "");
}

static void put_json(struct report *r, const struct table *t, const struct facts *x)
{
	put_json_object(r, t, x, 0, COL_LAYERS);
	if (is_chosen(t, COL_LAYERS, NR_COLUMNS - 1))
		put_json_layers(r, t, x);
	fputs("\n}\n", r->out);
}

/* All of it or nothing: half a JSON text is of no use. */
static int print_report(const struct table *t, const struct facts *x)
{
	struct report r = { .json = t->json, .bytes = t->bytes, .first = true };
	char *text = NULL;
	size_t size;

	r.out = open_memstream(&text, &size);
	if (!r.out)
		return -ENOMEM;
	if (t->json)
		put_json(&r, t, x);
	else
		put_text(&r, x);
	if (fclose(r.out)) {
		free(text);
		return -ENOMEM;
	}
	fputs(text, stdout);
	free(text);
	return 0;
}

static int print_table(const struct table *t, const struct facts *x)
{
	unsigned int i, nr = has_layers(t) ? x->info.nr_layers : 1;
	struct libscols_table *table = table_new(t);
	int ret = table ? 0 : -ENOMEM;

	for (i = 0; !ret && i < nr; i++)
		ret = table_add(table, t, cell, x + i);
	if (!ret)
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

/* Asks for layer @nr, and once more if it has a second path to tell. */
static int ask_layer(struct control *control, int index, unsigned int nr, struct facts *x)
{
	struct qcow2_ctl_info again = {
		.head.flags = QCOW2_INFO_F_DATA_PATH,
		.index = index,
		.layer = nr,
	};
	int ret;

	x->info = (struct qcow2_ctl_info){ .index = index, .layer = nr };
	ret = control_info(control, &x->info, x->path);
	if (!ret && x->info.layer_incompatible & HEADER_INCOMPAT_DATA_FILE)
		ret = control_info(control, &again, x->data_path);
	return ret;
}

/*
 * Asks for all, one element for each layer. To be freed; NULL when it has been said why
 * not. A window may change the chain between two calls.
 */
static struct facts *ask(struct control *control, int index)
{
	struct qcow2_ctl_info info = { .head.flags = QCOW2_INFO_F_REASON, .index = index };
	char reason[QCOW2_PATH_MAX];
	struct facts *x;
	unsigned int i;

	if (control_info(control, &info, reason)) {
		complain(DEVICE_FORMAT ": %s", index, control->text);
		return NULL;
	}
	x = calloc(info.nr_layers + 1, sizeof(*x));
	if (!x) {
		complain("out of memory");
		return NULL;
	}
	x->info = info;
	for (i = 0; i < info.nr_layers; i++) {
		if (ask_layer(control, index, i, &x[i])) {
			complain(DEVICE_FORMAT ": layer %u: %s", index, i, control->text);
			free(x);
			return NULL;
		}
	}
	for (i = 0; !i || i < info.nr_layers; i++)
		strcpy(x[i].reason, reason);
	/* It has what there was at first, as the number of elements. */
	x->info.nr_layers = info.nr_layers;
	return x;
}

static int show(struct control *control, int index, const struct table *t, bool as_table)
{
	struct facts *x;
	int ret;

	step_begin(DEVICE_FORMAT ": asking the driver", index);
	x = ask(control, index);
	step_end();
	if (!x)
		return EXIT_FAILED;
	ret = as_table ? print_table(t, x) : print_report(t, x);
	if (ret)
		complain("out of memory");
	free(x);
	return ret ? EXIT_FAILED : EXIT_OK;
}

/* Returns an exit status, or -1 to go on. */
static int parse_options(const struct command *self, int argc, char **argv, struct table *t,
			 bool *as_table, bool *udev)
{
	bool columns_chosen = false;
	int c, status;
	size_t i;

	for (i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		table_show(t, usual[i]);
	while ((c = getopt_long(argc, argv, "u" TABLE_SHORT COMMON_SHORT, info_options,
				NULL)) != -1) {
		if (c == 'u') {
			*udev = true;
			continue;
		}
		status = table_option(t, c);
		if (status == -2)
			status = common_option(self, c);
		if (status >= 0)
			return status;
		columns_chosen |= c == 'o' || c == 'O';
	}
	if (*udev && (columns_chosen || t->json || t->noheadings || t->raw))
		return usage_error("--udev and options of tables exclude each other");
	*as_table = !t->json && (columns_chosen || t->noheadings || t->raw);
	if (t->json && !columns_chosen)
		table_option(t, 'O');
	return table_check(t);
}

static int run_info(const struct command *self, int argc, char **argv)
{
	struct table t = { .columns = columns, .nr_columns = NR_COLUMNS };
	struct control control;
	bool as_table = false, udev = false;
	int index, status;

	status = parse_options(self, argc, argv, &t, &as_table, &udev);
	if (status >= 0)
		return status;
	if (optind == argc)
		return usage_error("no device given");
	if (optind + 1 < argc)
		return usage_error("%s: only one device at a time", argv[optind + 1]);
	if (device_open(argv[optind], &control, &index))
		return EXIT_FAILED;
	status = udev ? show_udev(&control, index) : show(&control, index, &t, as_table);
	control_close(&control);
	return status;
}

const struct command info_command = {
	.name = "info",
	.summary = "show all about one device and its layers",
	.usage = info_usage,
	.run = run_info,
};
