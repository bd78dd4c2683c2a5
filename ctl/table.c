// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables by libsmartcols, with the options that lsblk and losetup have
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "qcow2ctl.h"
#include "size.h"
#include "table.h"

#define HEADING_MAX	32

void table_show(struct table *t, int column)
{
	if (t->nr_shown < COLUMNS_MAX)
		t->shown[t->nr_shown++] = column;
}

static void show_all(struct table *t)
{
	int i;

	t->nr_shown = 0;
	for (i = 0; i < t->nr_columns; i++)
		table_show(t, i);
}

static int find_column(const struct table *t, const char *name, size_t len)
{
	int i;

	for (i = 0; i < t->nr_columns; i++)
		if (strlen(t->columns[i].name) == len &&
		    !strncasecmp(t->columns[i].name, name, len))
			return i;
	return -1;
}

/*
 * Takes the argument of --output: names separated by commas, after a plus sign
 * those are meant in addition that are shown already. Returns an exit status.
 */
static int parse_columns(struct table *t, const char *names)
{
	size_t len;
	int column;

	if (*names == '+')
		names++;
	else
		t->nr_shown = 0;
	for (;;) {
		len = strcspn(names, ",");
		column = find_column(t, names, len);
		if (column < 0)
			return usage_error("%.*s: no such column", (int)len, names);
		if (t->nr_shown == COLUMNS_MAX)
			return usage_error("too many columns");
		table_show(t, column);
		if (!names[len])
			return EXIT_OK;
		names += len + 1;
	}
}

/*
 * Handles an option of TABLE_LONG. Returns an exit status, -1 to go on, or -2 if it
 * is none of those.
 */
int table_option(struct table *t, int c)
{
	int status;

	switch (c) {
	case 'b':
		t->bytes = true;
		return -1;
	case 'J':
		t->json = true;
		return -1;
	case 'n':
		t->noheadings = true;
		return -1;
	case 'o':
		status = parse_columns(t, optarg);
		return status ? status : -1;
	case 'O':
		show_all(t);
		return -1;
	case 'r':
		t->raw = true;
		return -1;
	default:
		return -2;
	}
}

/* Do the options fit together? Returns an exit status, or -1 to go on. */
int table_check(const struct table *t)
{
	if (t->json && t->raw)
		return usage_error("--json and --raw exclude each other");
	return -1;
}

static int json_type(const struct table *t, enum kind kind)
{
	switch (kind) {
	case NUMBER:
		return SCOLS_JSON_NUMBER;
	case SIZE:
		return t->bytes ? SCOLS_JSON_NUMBER : SCOLS_JSON_STRING;
	case BOOLEAN:
		return SCOLS_JSON_BOOLEAN;
	default:
		return SCOLS_JSON_STRING;
	}
}

static int add_column(struct libscols_table *table, const struct table *t,
		      const struct column *column)
{
	int flags = column->kind == TEXT ? 0 : SCOLS_FL_RIGHT;
	char heading[HEADING_MAX] = "";
	struct libscols_column *cl;
	size_t i;

	for (i = 0; column->name[i] && i < HEADING_MAX - 1; i++)
		heading[i] = toupper((unsigned char)column->name[i]);
	cl = scols_table_new_column(table, heading, 0, flags);
	if (!cl)
		return -ENOMEM;
	return scols_column_set_json_type(cl, json_type(t, column->kind));
}

/* An empty table, to be unreferenced; NULL when out of memory. */
struct libscols_table *table_new(const struct table *t)
{
	struct libscols_table *table = scols_new_table();
	unsigned int i;

	if (!table)
		return NULL;
	scols_table_enable_raw(table, t->raw);
	scols_table_enable_json(table, t->json);
	scols_table_enable_noheadings(table, t->noheadings);
	if (scols_table_set_name(table, t->name))
		goto fail;
	for (i = 0; i < t->nr_shown; i++)
		if (add_column(table, t, &t->columns[t->shown[i]]))
			goto fail;
	return table;
fail:
	scols_unref_table(table);
	return NULL;
}

/* Adds a line. Returns 0 or -ENOMEM. */
int table_add(struct libscols_table *to, const struct table *t, table_cell *cell,
	      const void *line)
{
	struct libscols_line *ln = scols_table_new_line(to, NULL);
	unsigned int i;
	char *text;

	if (!ln)
		return -ENOMEM;
	for (i = 0; i < t->nr_shown; i++) {
		text = cell(t, t->shown[i], line);
		if (!text)
			return -ENOMEM;
		if (scols_line_refer_data(ln, i, text)) {
			free(text);
			return -ENOMEM;
		}
	}
	return 0;
}

/* These return text that is to be freed, or NULL when out of memory. */

char *text_format(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int ret;

	va_start(ap, fmt);
	ret = vasprintf(&text, fmt, ap);
	va_end(ap);
	return ret < 0 ? NULL : text;
}

char *text_size(uint64_t bytes, bool exactly)
{
	char text[SIZE_TEXT];

	if (exactly)
		return text_format("%llu", (unsigned long long)bytes);
	size_format(bytes, text);
	return strdup(text);
}

char *text_seconds(uint64_t ns)
{
	return text_format("%llu.%03u", (unsigned long long)(ns / 1000000000u),
			   (unsigned int)(ns / 1000000u % 1000));
}

char *text_bool(bool value)
{
	return strdup(value ? "1" : "0");
}
