// SPDX-License-Identifier: GPL-2.0-only
/*
 * /etc/qcow2tab: names for images. qcow2-generator reads it, too.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "escape.h"
#include "tab.h"

#define TAB_PATH	"/etc/qcow2tab"

/* What qcow2-generator takes as a name: needs no escape, and is no number. */
static bool is_name(const char *name)
{
	static const char known[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-.:=@_";

	return !name[strspn(name, known)] && name[strspn(name, "0123456789")] && *name != '.';
}

/* Takes a line apart: false if it has no name and image. */
static bool parse_line(const char *line, char **name, char **image)
{
	*name = NULL;
	*image = NULL;
	if (sscanf(line, "%ms %ms", name, image) == 2 && is_name(*name)) {
		unescape_octal(*image);
		return true;
	}
	free(*name);
	free(*image);
	return false;
}

static bool is_file(const char *path, const struct stat *file)
{
	struct stat st;

	return !stat(path, &st) && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

/* Which name has this image, by whatever path? To be freed; NULL if none. */
char *tab_name(const char *path)
{
	const char *tab = secure_getenv("QCOW2TAB");
	char *line = NULL, *name, *image, *found = NULL;
	FILE *f = fopen(tab ? tab : TAB_PATH, "re");
	struct stat file;
	size_t size = 0;

	if (!f)
		return NULL;
	while (!found && !stat(path, &file) && getline(&line, &size, f) > 0) {
		if (!parse_line(line, &name, &image))
			continue;
		if (is_file(image, &file))
			found = name;
		else
			free(name);
		free(image);
	}
	free(line);
	fclose(f);
	return found;
}
