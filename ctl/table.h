/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QCOW2CTL_TABLE_H
#define QCOW2CTL_TABLE_H

#include <getopt.h>
#include <libsmartcols/libsmartcols.h>
#include <stdbool.h>
#include <stdint.h>

#include "message.h"

/* Columns that can be shown, the same one twice if so wished. */
#define COLUMNS_MAX	128

enum kind { TEXT, NUMBER, SIZE, BOOLEAN };

/* A column that can be asked for. Its heading is the name in capitals. */
struct column {
	const char *name;
	enum kind kind;
};

/*
 * struct table - what is asked for
 * @name: of the table, in JSON
 * @columns: those that there are
 * @nr_columns: how many
 * @shown: numbers of those to show, in order
 * @nr_shown: how many
 */
struct table {
	const char *name;
	const struct column *columns;
	int nr_columns;
	int shown[COLUMNS_MAX];
	unsigned int nr_shown;
	bool bytes;
	bool json;
	bool noheadings;
	bool raw;
};

/* Options of all commands that show one. */
#define TABLE_LONG					\
	{ "bytes", no_argument, NULL, 'b' },		\
	{ "json", no_argument, NULL, 'J' },		\
	{ "noheadings", no_argument, NULL, 'n' },	\
	{ "output", required_argument, NULL, 'o' },	\
	{ "output-all", no_argument, NULL, 'O' },	\
	{ "raw", no_argument, NULL, 'r' }
#define TABLE_SHORT	"bJno:Or"

/* Returns a cell's text, to be freed; NULL when out of memory. */
typedef char *table_cell(const struct table *t, int column, const void *line);

void table_show(struct table *t, int column);
int table_option(struct table *t, int c);
int table_check(const struct table *t);

struct libscols_table *table_new(const struct table *t);
int table_add(struct libscols_table *to, const struct table *t, table_cell *cell,
	      const void *line);

__printf(1, 2) char *text_format(const char *fmt, ...);
char *text_size(uint64_t bytes, bool exactly);
char *text_seconds(uint64_t ns);
char *text_bool(bool value);

#endif /* QCOW2CTL_TABLE_H */
