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
#include "escape.h"
#include "header.h"
#include "qcow2ctl.h"
#include "size.h"
#include "tab.h"
#include "utf8.h"

static const char info_usage[] =
"Usage: qcow2ctl info [-J | --udev] DEV\n"
"\n"
"Show what there is to know about a device and the layers of its image.\n"
"\n"
"Options:\n"
" -J, --json      as JSON; sizes are in bytes\n"
"     --udev      what udev names the device by: its number, the image's file\n"
"                 name, and the name that the image has in /etc/qcow2tab\n"
" -h, --help      this text\n"
" -V, --version   the version\n"
" -v, --verbose   explain on standard error what is done\n"
"\n"
"Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static const struct option info_options[] = {
	{ "json", no_argument, NULL, 'J' },
	{ "udev", no_argument, NULL, 'U' },
	COMMON_LONG
};

/*
 * struct report - where the facts go
 * @out: the stream
 * @json: as JSON, else as lines "key: value"
 * @depth: how far to indent
 * @first: no comma is due
 */
struct report {
	FILE *out;
	bool json;
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

static void end_value(const struct report *r)
{
	if (!r->json)
		fputc('\n', r->out);
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

static void put_text(struct report *r, const char *key, const char *text)
{
	put_key(r, key);
	if (r->json)
		put_json_string(r, text);
	else
		fputs_escaped(text, r->out);
	end_value(r);
}

static void put_number(struct report *r, const char *key, uint64_t n)
{
	put_key(r, key);
	fprintf(r->out, "%" PRIu64, n);
	end_value(r);
}

static void put_size(struct report *r, const char *key, uint64_t n)
{
	char text[SIZE_TEXT];

	put_key(r, key);
	fprintf(r->out, "%" PRIu64, n);
	size_format(n, text);
	if (!r->json && n >= 1024)
		fprintf(r->out, " (%s)", text);
	end_value(r);
}

static void put_bool(struct report *r, const char *key, bool value)
{
	put_key(r, key);
	if (r->json)
		fputs(value ? "true" : "false", r->out);
	else
		fputs(value ? "yes" : "no", r->out);
	end_value(r);
}

static void put_seconds(struct report *r, const char *key, uint64_t ns)
{
	put_key(r, key);
	fprintf(r->out, "%" PRIu64 ".%03u", ns / 1000000000u, (unsigned int)(ns / 1000000u % 1000));
	end_value(r);
}

static void put_features(struct report *r, const char *key, uint64_t bits)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, bits);
	put_text(r, key, text);
}

static void put_device(struct report *r, const struct qcow2_ctl_info *info,
		       const char *reason)
{
	char name[32];

	snprintf(name, sizeof(name), DEVICE_FORMAT, info->index);
	put_text(r, "name", name);
	put_text(r, "state", state_name(info->state));
	put_text(r, "reason", reason);
	put_seconds(r, "frozen-seconds", info->frozen_ns);
	put_bool(r, "file-systems-frozen", info->dev_flags & QCOW2_DEV_F_FS_FROZEN);
	put_size(r, "size", info->size_bytes);
	put_number(r, "logical-block-size", info->logical_block_size);
	put_bool(r, "read-only", info->dev_flags & QCOW2_DEV_F_READONLY);
	put_bool(r, "deferred-detach", info->dev_flags & QCOW2_DEV_F_DEFERRED);
	put_bool(r, "buffered", info->dev_flags & QCOW2_DEV_F_BUFFERED);
	put_bool(r, "parks-without-space", info->dev_flags & QCOW2_DEV_F_PARK);
	put_bool(r, "waits-for-space", info->dev_flags & QCOW2_DEV_F_NOSPACE);
	put_size(r, "cache", info->cache_bytes);
	put_size(r, "cache-used", info->cache_used);
	put_number(r, "commits", info->nr_commits);
	put_number(r, "flushes", info->nr_flushes);
	put_number(r, "clusters-allocated", info->nr_allocated);
	put_number(r, "clusters-freed", info->nr_freed);
	put_number(r, "clusters-decompressed", info->nr_inflated);
	put_number(r, "requests-direct", info->nr_direct);
	put_number(r, "requests-worker", info->nr_worker);
}

static void put_layer(struct report *r, const struct qcow2_ctl_info *info, const char *path,
		      const char *data_path)
{
	bool qcow2 = info->layer_format == QCOW2_FORMAT_QCOW2;

	put_text(r, "file", path);
	if (*data_path)
		put_text(r, "data-file", data_path);
	put_text(r, "format", qcow2 ? "qcow2" : "raw");
	put_size(r, "virtual-size", info->layer_virtual_size);
	if (!qcow2)
		return;
	put_number(r, "version", info->layer_version);
	put_size(r, "cluster-size", 1ull << (info->layer_cluster_bits & 63));
	put_number(r, "refcount-bits", info->layer_refcount_bits);
	put_features(r, "incompatible-features", info->layer_incompatible);
	put_features(r, "compatible-features", info->layer_compatible);
	put_features(r, "autoclear-features", info->layer_autoclear);
}

static void begin_layers(struct report *r, unsigned int nr)
{
	if (r->json)
		put_key(r, "layers");
	else
		put_number(r, "layers", nr);
	if (r->json)
		fputc('[', r->out);
	r->depth++;
}

static void begin_layer(struct report *r, unsigned int nr)
{
	if (r->json)
		fprintf(r->out, "%s\n%*s{\n", nr ? "," : "", (int)r->depth * 3, "");
	else
		fprintf(r->out, "layer %u:\n", nr);
	r->depth += r->json;
	r->first = true;
}

static void end_layer(struct report *r)
{
	r->depth -= r->json;
	if (r->json)
		fprintf(r->out, "\n%*s}", (int)r->depth * 3, "");
}

static void end_layers(struct report *r)
{
	r->depth--;
	if (r->json)
		fprintf(r->out, "\n%*s]", (int)r->depth * 3, "");
}

/* Asks for layer @nr, and once more if it has a second path to tell. */
static int ask_layer(struct control *control, int index, unsigned int nr,
		     struct qcow2_ctl_info *info, char path[QCOW2_PATH_MAX],
		     char data_path[QCOW2_PATH_MAX])
{
	struct qcow2_ctl_info again = {
		.head.flags = QCOW2_INFO_F_DATA_PATH,
		.index = index,
		.layer = nr,
	};
	int ret;

	*info = (struct qcow2_ctl_info){ .index = index, .layer = nr };
	*data_path = 0;
	ret = control_info(control, info, path);
	if (!ret && info->layer_incompatible & HEADER_INCOMPAT_DATA_FILE)
		ret = control_info(control, &again, data_path);
	return ret;
}

/* A window may change the chain between two calls; the end is then early. */
static int put_layers(struct report *r, struct control *control,
		      const struct qcow2_ctl_info *device)
{
	struct qcow2_ctl_info info;
	char path[QCOW2_PATH_MAX], data_path[QCOW2_PATH_MAX];
	unsigned int i;

	begin_layers(r, device->nr_layers);
	for (i = 0; i < device->nr_layers; i++) {
		if (ask_layer(control, device->index, i, &info, path, data_path)) {
			complain(DEVICE_FORMAT ": layer %u: %s", device->index, i,
				 control->text);
			return -1;
		}
		begin_layer(r, i);
		put_layer(r, &info, path, data_path);
		end_layer(r);
	}
	end_layers(r);
	return 0;
}

static int put_all(struct report *r, struct control *control, int index)
{
	struct qcow2_ctl_info info = { .head.flags = QCOW2_INFO_F_REASON, .index = index };
	char reason[QCOW2_PATH_MAX];

	if (control_info(control, &info, reason)) {
		complain(DEVICE_FORMAT ": %s", index, control->text);
		return -1;
	}
	if (r->json)
		fputs("{\n", r->out);
	put_device(r, &info, reason);
	if (put_layers(r, control, &info))
		return -1;
	if (r->json)
		fputs("\n}\n", r->out);
	return 0;
}

/* All of it or nothing: half a JSON text is of no use. */
static int show(struct control *control, int index, bool json)
{
	struct report r = { .json = json, .depth = json, .first = true };
	char *text = NULL;
	size_t size;
	int ret;

	r.out = open_memstream(&text, &size);
	if (!r.out) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	ret = put_all(&r, control, index);
	if (fclose(r.out)) {
		complain("out of memory");
		ret = -1;
	}
	if (!ret)
		fputs(text, stdout);
	free(text);
	return ret ? EXIT_FAILED : EXIT_OK;
}

static void put_property(const char *key, const char *text)
{
	char *escaped = escape_link(text);

	if (escaped)
		printf("%s=%s\n", key, escaped);
	free(escaped);
}

/* The device's number is a name of its own: no file may have it. */
static bool is_number(const char *name)
{
	return !name[strspn(name, "0123456789")];
}

/* udev hears of a device a moment before it can be asked for. */
static int ask_new(struct control *control, struct qcow2_ctl_info *info,
		   char path[QCOW2_PATH_MAX])
{
	unsigned int tries;
	int ret;

	for (tries = 0; ; tries++) {
		ret = control_info(control, info, path);
		if (ret != -ENODEV || tries == DEVICE_RETRIES)
			return ret;
		device_pause();
	}
}

static int show_udev(struct control *control, int index)
{
	struct qcow2_ctl_info info = { .index = index };
	char path[QCOW2_PATH_MAX], *name;
	const char *slash;

	if (ask_new(control, &info, path)) {
		complain(DEVICE_FORMAT ": %s", index, control->text);
		return EXIT_FAILED;
	}
	printf("QCOW2_INDEX=%d\n", index);
	slash = strrchr(path, '/');
	if (slash && !is_number(slash + 1))
		put_property("QCOW2_FILE_ENC", slash + 1);
	name = tab_name(path);
	if (name)
		put_property("QCOW2_NAME", name);
	free(name);
	return EXIT_OK;
}

static int run_info(const struct command *self, int argc, char **argv)
{
	struct control control;
	struct message why;
	bool json = false, udev = false;
	int c, index, status;

	while ((c = getopt_long(argc, argv, "J" COMMON_SHORT, info_options, NULL)) != -1) {
		if (c == 'J')
			json = true;
		else if (c == 'U')
			udev = true;
		status = c == 'J' || c == 'U' ? -1 : common_option(self, c);
		if (status >= 0)
			return status;
	}
	if (json && udev)
		return usage_error("--json and --udev exclude each other");
	if (optind == argc)
		return usage_error("no device given");
	if (optind + 1 < argc)
		return usage_error("%s: only one device at a time", argv[optind + 1]);
	if (control_open(&control, &why)) {
		complain("%s", why.text);
		return EXIT_FAILED;
	}
	if (device_index(argv[optind], &index, &why)) {
		complain("%s", why.text);
		status = EXIT_FAILED;
	} else {
		status = udev ? show_udev(&control, index) : show(&control, index, json);
	}
	control_close(&control);
	return status;
}

const struct command info_command = {
	.name = "info",
	.summary = "show all about one device and its layers",
	.usage = info_usage,
	.run = run_info,
};
