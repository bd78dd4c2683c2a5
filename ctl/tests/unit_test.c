// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the chain and of what it is made with, in the current directory
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"
#include "device.h"
#include "header.h"
#include "size.h"
#include "utf8.h"

#define IMAGE_SIZE	(256 * 1024)

static unsigned int nr_tests, nr_failed;

static void ok(bool good, const char *name, const char *found)
{
	nr_tests++;
	if (!good)
		nr_failed++;
	printf("%sok %u %s\n", good ? "" : "not ", nr_tests, name);
	if (!good)
		printf("# found: %s\n", found);
}

static void run(const char *command)
{
	if (system(command)) {
		printf("Bail out! failed: %s\n", command);
		exit(1);
	}
}

static int access_mode(int fd)
{
	return fcntl(fd, F_GETFL) & O_ACCMODE;
}

/* Appends what is open: "qcow2 top rw + top.data rw". */
static size_t describe(char *text, size_t size, const struct layer *layer)
{
	size_t at;

	at = snprintf(text, size, "%s %s%s",
		      layer->format == QCOW2_FORMAT_RAW ? "raw" : "qcow2", layer->file.path,
		      access_mode(layer->file.fd) == O_RDWR ? " rw" : "");
	if (layer->data.fd >= 0 && at < size)
		at += snprintf(text + at, size - at, " + %s%s", layer->data.path,
			       access_mode(layer->data.fd) == O_RDWR ? " rw" : "");
	return at;
}

/* The chain must open, as these layers: "qcow2 top, raw base". */
static void opens(const char *image, bool readonly, const char *layers, const char *name)
{
	struct chain *chain = malloc(sizeof(*chain));
	char found[8192] = "";
	struct message why;
	size_t at = 0;
	unsigned int i;

	if (chain_open(chain, image, readonly, &why)) {
		ok(false, name, why.text);
	} else {
		for (i = 0; i < chain->nr && at < sizeof(found); i++) {
			if (i)
				at += snprintf(found + at, sizeof(found) - at, ", ");
			at += describe(found + at, sizeof(found) - at, &chain->layers[i]);
		}
		ok(!strcmp(found, layers), name, found);
		chain_close(chain);
	}
	free(chain);
}

/* The chain must not open, for a reason in which all words of @why occur. */
static void refused(const char *image, bool readonly, const char *words, const char *name)
{
	struct chain *chain = malloc(sizeof(*chain));
	char copy[512], *word, *rest = copy;
	struct message why;
	bool good = true;

	snprintf(copy, sizeof(copy), "%s", words);
	if (!chain_open(chain, image, readonly, &why)) {
		ok(false, name, "it opened");
		chain_close(chain);
	} else {
		while ((word = strsep(&rest, "|")))
			good &= !!strstr(why.text, word);
		ok(good && !chain->nr, name, why.text);
	}
	free(chain);
}

static void test_good(void)
{
	run("qemu-img create -q -f qcow2 plain 1M");
	run("mkdir -p d/e && qemu-img create -q -f raw d/base.raw 1M");
	run("qemu-img create -q -f qcow2 -b ../base.raw -F raw d/e/mid");
	run("qemu-img create -q -f qcow2 -o compat=0.10 -b e/mid -F qcow2 d/old");
	run("qemu-img create -q -f qcow2 -o cluster_size=2M -b d/old -F qcow2 top");
	run("ln -sf d/e/mid link; ln -sf plain samedir");
	run("n=\"$(printf 'a b\\nc')\"; cp plain \"$n\"; qemu-img create -q -f qcow2 -b \"$n\" -F qcow2 odd");
	run("qemu-img create -q -f qcow2 -b \"$PWD/plain\" -F qcow2 absolute");
	run("cp plain ./co:lon; qemu-img create -q -f qcow2 -b ./co:lon -F qcow2 dot");
	opens("plain", false, "qcow2 plain rw", "one layer");
	opens("plain", true, "qcow2 plain", "one layer, read-only");
	opens("./plain", false, "qcow2 ./plain rw", "name with ./");
	opens("samedir", false, "qcow2 samedir rw", "symbolic link");
	opens("top", false, "qcow2 top rw, qcow2 d/old, qcow2 d/e/mid, raw d/e/../base.raw",
	      "four layers, relative names, versions 2 and 3");
	opens("odd", false, "qcow2 odd rw, qcow2 a b\nc", "space and newline in a name");
	opens("dot", false, "qcow2 dot rw, qcow2 ./co:lon", "colon after a slash");
	opens("co:lon", false, "qcow2 co:lon rw", "colon in the user's name");
	refused("link", false, "no such file|backing file of link|../base.raw",
		"relative to the link, as in QEMU");
}

static void test_absolute(void)
{
	char cwd[512], want[2048];

	if (!getcwd(cwd, sizeof(cwd)))
		exit(1);
	snprintf(want, sizeof(want), "qcow2 absolute rw, qcow2 %s/plain", cwd);
	opens("absolute", false, want, "absolute name");
}

static void test_not_an_image(void)
{
	run("mkdir -p dir; mkfifo fifo; : >empty; echo hello >text; head -c 4 plain >four");
	run("head -c 90 plain >ninety; truncate -s 1M zeroes; qemu-img create -q -f vmdk vmdk 1M");
	run("qemu-img create -q -f vdi vdi 1M; qemu-img create -q -f qcow one 1M");
	run("gzip -c plain >gz; ln -sf nowhere dangling");
	refused("missing", false, "missing: no such file", "no file");
	refused("plain/x", false, "no such file", "file as directory");
	refused("dangling", false, "no such file", "dangling link");
	refused("dir", false, "dir: is a directory", "directory");
	refused("fifo", true, "is a FIFO", "FIFO");
	refused("fifo", false, "is a FIFO", "FIFO for writing");
	refused("/dev/null", true, "is a character device", "character device");
	refused("empty", false, "is empty", "empty file");
	refused("text", false, "not a QCOW2 image", "text");
	refused("zeroes", false, "not a QCOW2 image|raw", "raw");
	refused("four", false, "truncated", "four bytes");
	refused("ninety", false, "truncated", "90 bytes");
	refused("vmdk", false, "VMDK", "VMDK");
	refused("vdi", false, "VDI", "VDI");
	refused("gz", false, "gzip", "gzip");
	refused("one", false, "version 1", "QCOW version 1");
}

static void test_permission(void)
{
	run("cp plain ro; chmod 0444 ro");
	refused("ro", false, "read-only|-r", "no write permission");
	opens("ro", true, "qcow2 ro", "no write permission, read-only");
	if (!geteuid() && !system("cp plain fixed && chattr +i fixed 2>/dev/null")) {
		refused("fixed", false, "immutable|-r", "immutable file");
		opens("fixed", true, "qcow2 fixed", "immutable file, read-only");
		run("chattr -i fixed");
	}
}

static void test_bad_backing(void)
{
	run("qemu-img create -q -u -f qcow2 -b gone -F qcow2 nobase 1M");
	run("qemu-img create -q -u -f qcow2 -b nobase -F qcow2 deep 1M");
	/* As older versions of qemu-img make it: the extension is not there. */
	run("qemu-img create -q -u -f qcow2 -b plain -F qcow2 noformat 1M");
	run("head -c 8 /dev/zero | dd of=noformat bs=1 seek=\"$(printf %d $(od -An -N4 -j100 -tu4 --endian=big noformat))\" conv=notrunc status=none");
	run("qemu-img create -q -u -f qcow2 -b vmdk -F vmdk onvmdk 1M");
	run("qemu-img create -q -u -f qcow2 -b 'json:{\"driver\":\"qcow2\",\"file\":{\"filename\":\"plain\"}}' -F qcow2 json 1M");
	run("qemu-img create -q -u -f qcow2 -b nbd://h/x -F raw nbd 1M");
	run("qemu-img create -q -u -f qcow2 -b file:plain -F qcow2 file 1M");
	run("qemu-img create -q -u -f qcow2 -b zeroes -F qcow2 lies 1M");
	run("qemu-img create -q -u -f qcow2 -b dir -F raw ondir 1M");
	run("qemu-img create -q -u -f qcow2 -b ./self -F qcow2 self 1M");
	run("qemu-img create -q -u -f qcow2 -b loopb -F qcow2 loopa 1M");
	run("ln plain hard; qemu-img create -q -u -f qcow2 -b loopc -F qcow2 loopb 1M; ln -sf loopa loopc");
	refused("nobase", false, "gone: no such file (backing file of nobase)", "missing backing");
	refused("deep", false, "gone: no such file (backing file of nobase)",
		"missing backing further down");
	refused("noformat", false, "noformat: its backing file plain has no format recorded|qemu-img rebase -u -F",
		"no format recorded");
	refused("onvmdk", false, "'vmdk'", "format vmdk");
	refused("json", false, "json:|not a plain file name", "json: name");
	refused("nbd", false, "'nbd'|not a plain file name", "protocol nbd");
	refused("file", false, "'file'|not a plain file name", "protocol file");
	refused("lies", false, "zeroes: is not a QCOW2 image|backing file of lies",
		"backing is not of its format");
	refused("ondir", false, "dir: is a directory (backing file of ondir)",
		"backing is a directory");
	refused("self", false, "loop", "backing is the image itself");
	refused("loopa", false, "loopc|loop", "loop of two through a link");
}

static void test_data_file(void)
{
	run("qemu-img create -q -f qcow2 -o data_file=x.raw,data_file_raw=on x 1M");
	run("qemu-img create -q -f qcow2 -o data_file=\"$PWD/d/y.raw\" d/y 1M");
	run("cd d && qemu-img create -q -f qcow2 -o data_file=e/z.raw,cluster_size=2M z 1M");
	run("cd d && qemu-img create -q -f qcow2 -o data_file=v.raw -b z -F qcow2 v");
	run("qemu-img create -q -f qcow2 -o data_file=w.raw -b d/v -F qcow2 w");
	run("n=\"$(printf 'r w\\nx')\"; qemu-img create -q -f qcow2 -o data_file=\"./$n\" oddly 1M");
	run("qemu-img create -q -f qcow2 -o data_file=./co:lon.raw dotted 1M");
	opens("x", false, "qcow2 x rw + x.raw rw", "data file");
	opens("x", true, "qcow2 x + x.raw", "data file, read-only");
	opens("./x", false, "qcow2 ./x rw + ./x.raw rw", "data file next to the image");
	opens("w", false, "qcow2 w rw + w.raw rw, qcow2 d/v + d/v.raw, qcow2 d/z + d/e/z.raw",
	      "data files of backing files, relative names");
	opens("oddly", true, "qcow2 oddly + ./r w\nx", "space and newline in a data file's name");
	opens("dotted", true, "qcow2 dotted + ./co:lon.raw", "data file, colon after a slash");
	run("qemu-img create -q -u -f qcow2 -b x -F raw rawx 1M");
	opens("rawx", true, "qcow2 rawx, raw x", "raw layers have no data file");
}

static void test_data_absolute(void)
{
	char cwd[512], want[2048];

	if (!getcwd(cwd, sizeof(cwd)))
		exit(1);
	snprintf(want, sizeof(want), "qcow2 d/y rw + %s/d/y.raw rw", cwd);
	opens("d/y", false, want, "absolute name of a data file");
}

/* Gives image x, as copy @name, a data file @data instead of "x.raw". */
static void name_data(const char *name, const char *data)
{
	char command[512];

	if (strlen(data) != strlen("x.raw"))
		exit(1);
	snprintf(command, sizeof(command),
		 "cp x %s && printf '%s' | dd of=%s bs=1 seek=120 conv=notrunc status=none",
		 name, data, name);
	run(command);
}

/* Sets bits of the incompatible features of image @name. */
static void set_incompatible(const char *name, unsigned int bits)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "printf '\\%03o' | dd of=%s bs=1 seek=79 conv=notrunc status=none", bits,
		 name);
	run(command);
}

static void test_bad_data_file(void)
{
	run("mkdir -p ddddd; [ -p ffffd ] || mkfifo ffffd; ln -sf x.raw lnkdd");
	name_data("dgone", "gone!");
	name_data("ddir", "ddddd");
	name_data("dfifo", "ffffd");
	name_data("djson", "json:");
	name_data("dnbd", "n://h");
	name_data("dplain", "plain");
	run("cp x dunset; cp plain noname");
	set_incompatible("dunset", 0);
	set_incompatible("noname", 4);
	refused("dgone", false, "gone!: no such file (data file of dgone)|put it back|amend -o data_file",
		"missing data file");
	refused("ddir", true, "ddddd: is a directory (data file of ddir)",
		"data file is a directory");
	refused("dfifo", false, "ffffd: is a FIFO (data file of dfifo)", "data file is a FIFO");
	refused("djson", true, "djson: its data file json: is not a plain file name|amend -o data_file",
		"data file with json: name");
	refused("dnbd", true, "dnbd: its data file n://h has protocol 'n'|not a plain file name|amend -o data_file",
		"data file with protocol");
	refused("noname", false, "noname: |does not name its data file|amend -o data_file",
		"no name recorded for the data file");
	opens("dunset", false, "qcow2 dunset rw", "a data file's name without its feature bit");
	opens("dplain", false, "qcow2 dplain rw + plain rw", "any file may be a data file");
}

static void test_data_twice(void)
{
	name_data("selfd", "selfd");
	run("qemu-img create -q -u -f qcow2 -o data_file=x.raw -b x -F qcow2 share 1M");
	run("qemu-img create -q -u -f qcow2 -b x.raw -F raw rawup 1M");
	name_data("onraw", "lnkdd");
	run("qemu-img create -q -u -f qcow2 -o data_file=onbas -b plain -F qcow2 below 1M; ln -f plain onbas");
	run("qemu-img create -q -u -f qcow2 -o data_file=xxraw -b x -F qcow2 above 1M; rm -f xxraw; ln -f x xxraw");
	refused("selfd", false, "selfd: is itself an image of the chain (data file of selfd)",
		"an image as its own data file");
	refused("share", false, "x.raw: is the data file of share already (data file of x)",
		"two layers with one data file");
	refused("below", true, "plain: is the data file of below already (backing file of below)",
		"data file as backing file");
	refused("above", false, "x: is the data file of above already (backing file of above)",
		"data file is a layer through a hard link");
	opens("onraw", false, "qcow2 onraw rw + lnkdd rw", "data file through a link");
	run("qemu-img create -q -u -f qcow2 -o data_file=x.raw -b rawup -F qcow2 third 1M");
	refused("third", true, "x.raw: is the data file of third already (backing file of rawup)",
		"data file as base");
}

static void test_data_permission(void)
{
	run("qemu-img create -q -f qcow2 -o data_file=perm.raw perm 1M; chmod 0444 perm.raw");
	refused("perm", false, "perm.raw: read-only|(data file of perm)|-r",
		"no write permission for the data file");
	opens("perm", true, "qcow2 perm + perm.raw", "the same, read-only");
	run("qemu-img create -q -u -f qcow2 -b perm -F qcow2 perm2 1M");
	opens("perm2", false, "qcow2 perm2 rw, qcow2 perm + perm.raw",
	      "the same, as a backing file");
}

/* What is marked matters for the active layer, and for writing only. */
static enum chain_health health(const char *image, bool readonly)
{
	struct chain *chain = malloc(sizeof(*chain));
	enum chain_health health = -1;
	struct message why;

	if (!chain_open(chain, image, readonly, &why)) {
		health = chain_health(chain);
		chain_close(chain);
	}
	free(chain);
	return health;
}

static void test_health(void)
{
	run("qemu-img create -q -f qcow2 h 1M; qemu-img create -q -u -f qcow2 -b h -F qcow2 hover 1M");
	run("qemu-img create -q -f qcow2 -o compat=0.10 hold 1M");
	ok(health("h", false) == CHAIN_CLEAN, "clean image", "not clean");
	set_incompatible("h", 1);
	ok(health("h", false) == CHAIN_DIRTY, "dirty image", "not dirty");
	ok(health("h", true) == CHAIN_CLEAN, "dirty image, read-only", "not clean");
	ok(health("hover", false) == CHAIN_CLEAN, "dirty backing file", "not clean");
	set_incompatible("h", 3);
	ok(health("h", false) == CHAIN_CORRUPT, "dirty and corrupt image", "not corrupt");
	set_incompatible("h", 2);
	ok(health("h", false) == CHAIN_CORRUPT, "corrupt image", "not corrupt");
	ok(health("h", true) == CHAIN_CLEAN, "corrupt image, read-only", "not clean");
	set_incompatible("hold", 7);
	ok(health("hold", false) == CHAIN_CLEAN, "version 2 has no such bits", "not clean");
}

/* Makes image @nr, whose backing file is the next one. */
static void make_link(unsigned char *image, unsigned int nr)
{
	char name[16], next[16];
	uint64_t offset;
	int fd;

	memcpy(&offset, image + 8, sizeof(offset));
	snprintf(name, sizeof(name), "n%04u", nr);
	snprintf(next, sizeof(next), "n%04u", nr + 1);
	memcpy(image + be64toh(offset), next, 5);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, image, 65536) != 65536)
		exit(1);
	close(fd);
}

static void read_image(const char *name, unsigned char *image)
{
	int fd = open(name, O_RDONLY);

	if (fd < 0 || read(fd, image, IMAGE_SIZE) < 65536)
		exit(1);
	close(fd);
}

static void test_depth(void)
{
	unsigned char *image = calloc(1, IMAGE_SIZE);
	struct chain *chain = malloc(sizeof(*chain));
	unsigned int i, layers = 0;
	struct message why;

	run("qemu-img create -q -u -f qcow2 -b n0000 -F qcow2 n 1M");
	read_image("n", image);
	for (i = 0; i < 300; i++)
		make_link(image, i);
	refused("n0000", true, "n0256: one layer too many|256|backing file of n0255",
		"more layers than allowed");
	run("cp plain n0255");
	if (!chain_open(chain, "n0000", true, &why)) {
		layers = chain->nr;
		chain_close(chain);
	}
	ok(layers == 256, "as many layers as allowed", "another number");
	free(chain);
	free(image);
}

static void put_be32(unsigned char *to, uint32_t value)
{
	value = htobe32(value);
	memcpy(to, &value, sizeof(value));
}

static enum header_result parse(const unsigned char *image, size_t len, struct header *h,
				struct message *why)
{
	enum header_result res = header_parse(image, len, h, why);

	return res == HEADER_OK ? header_parse_names(image, len, h, why) : res;
}

/* With @value at @at the header must be refused for a @reason. */
static void bad_header(unsigned char *image, size_t at, uint32_t value, const char *reason)
{
	struct message why = { 0 };
	unsigned char saved[4];
	struct header h;
	bool good;

	memcpy(saved, image + at, 4);
	put_be32(image + at, value);
	good = parse(image, 65536, &h, &why) == HEADER_BAD;
	ok(good && strstr(why.text, reason), reason, why.text);
	memcpy(image + at, saved, 4);
}

/* The name lies beyond what is read first, in an image of large clusters. */
static void test_far_extension(void)
{
	unsigned char start[2048], far[16] = "DATA\0\0\0\5x.raw";
	size_t ext;
	int fd;

	run("qemu-img create -q -f qcow2 -o cluster_size=2M,data_file=far.raw far 1M");
	fd = open("far", O_RDWR);
	if (fd < 0 || pread(fd, start, sizeof(start), 0) != sizeof(start))
		exit(1);
	ext = start[103];
	put_be32(start + ext, 0x12345678);
	put_be32(start + ext + 4, 100000);
	if (pwrite(fd, start, sizeof(start), 0) != sizeof(start) ||
	    pwrite(fd, far, sizeof(far), ext + 8 + 100000) != sizeof(far))
		exit(1);
	close(fd);
	opens("far", true, "qcow2 far + x.raw", "name of the data file far from the header");
}

static void test_header(unsigned char *image)
{
	/* The format of the backing file is the first header extension. */
	size_t ext = image[103];
	const struct {
		size_t at;
		uint32_t value;
		const char *reason;
	} cases[] = {
		{ 4, 4, "version 4" },
		{ 20, 8, "cluster_bits" },
		{ 20, 22, "cluster_bits" },
		{ 20, 0xffffffff, "cluster_bits" },
		{ 100, 103, "header_length" },
		{ 100, 0x10001, "header_length" },
		{ 8, 1, "offset" },
		{ 12, 50, "offset" },
		{ 12, 65535, "offset" },
		{ 16, 1024, "1024 bytes" },
		{ 16, 0xffffffff, "bytes" },
		{ ext + 4, 0xffffffff, "too long" },
		{ ext + 4, 16, "backing format" },
		{ ext + 8, 0, "backing format" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		bad_header(image, cases[i].at, cases[i].value, cases[i].reason);
}

/* The extensions of an image without backing file go on to the cluster's end. */
static void test_extensions(unsigned char *image)
{
	size_t ext = image[103];
	unsigned char *end = image + 65536;
	struct message why;
	struct header h;

	ok(parse(image, 65536, &h, &why) == HEADER_OK && !strcmp(h.data_file, "x.raw"),
	   "name of the data file", h.data_file);
	ok(parse(image, ext + 13, &h, &why) == HEADER_OK && !strcmp(h.data_file, "x.raw"),
	   "file that ends with the name", why.text);
	bad_header(image, ext + 4, 65536 - ext - 8 + 1, "too long");
	bad_header(image, ext + 4, 0xffffffff, "too long");
	bad_header(image, ext + 8, 'x' << 24, "name of the data file");
	memset(image + ext + 8, 'x', 4096);
	bad_header(image, ext + 4, 4096, "name of the data file");
	put_be32(image + ext + 4, 4095);
	ok(parse(image, 65536, &h, &why) == HEADER_OK && strlen(h.data_file) == 4095,
	   "longest name of a data file", why.text);

	/* An unknown extension pushes the name to the very end of the cluster. */
	put_be32(image + ext, 0x12345678);
	put_be32(image + ext + 4, 65536 - ext - 8 - 16);
	put_be32(end - 16, 0x44415441);
	put_be32(end - 12, 8);
	memcpy(end - 8, "last.raw", 8);
	ok(parse(image, IMAGE_SIZE, &h, &why) == HEADER_OK && !strcmp(h.data_file, "last.raw"),
	   "name of the data file at the cluster's end", h.data_file);
	put_be32(end - 12, 9);
	*end = 'x';
	ok(parse(image, IMAGE_SIZE, &h, &why) == HEADER_BAD,
	   "name of the data file beyond the cluster's end", h.data_file);

	/* Without the feature bit nobody asks for the name. */
	memset(end - 8, 0, 8);
	put_be32(end - 12, 8);
	ok(parse(image, 65536, &h, &why) == HEADER_BAD, "NUL in the name of the data file", h.data_file);
	image[79] = 0;
	ok(parse(image, 65536, &h, &why) == HEADER_OK && !*h.data_file,
	   "the same without the feature bit", why.text);
}

/* Parses the first @len bytes in a buffer of just that size, for ASan. */
static void parse_exactly(const unsigned char *image, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);
	struct message why;
	struct header h;

	memcpy(copy, image, len);
	foreign_format(copy, len);
	parse(copy, len, &h, &why);
	free(copy);
}

static void fuzz_header(const unsigned char *image)
{
	unsigned char bad[4096];
	unsigned int i, n;

	srandom(1);
	for (i = 0; i < 100000; i++) {
		memcpy(bad, image, sizeof(bad));
		for (n = random() % 8; n; n--)
			bad[random() % 4 ? random() % 160 : random() % 4096] =
				random() % 2 ? random() : 1u << random() % 8;
		parse_exactly(bad, random() % 2 ? 4096 : random() % 700);
	}
	ok(true, "100000 damaged headers parsed", "");
}

static void fuzz_chain(const unsigned char *image)
{
	struct chain *chain = malloc(sizeof(*chain));
	unsigned char bad[2048];
	struct message why;
	unsigned int i, n, opened = 0;
	int fd;

	fd = open("fuzzed", O_RDWR | O_CREAT, 0600);
	for (i = 0; i < 1000; i++) {
		memcpy(bad, image, sizeof(bad));
		for (n = 1 + random() % 6; n; n--)
			bad[random() % 4 ? random() % 200 : random() % 2048] = random();
		if (pwrite(fd, bad, sizeof(bad), 0) != sizeof(bad) ||
		    ftruncate(fd, random() % 2 ? 1 << 20 : random() % 2048))
			exit(1);
		why.text[0] = 0;
		if (!chain_open(chain, "fuzzed", random() % 2, &why)) {
			opened++;
			chain_close(chain);
		} else if (!why.text[0]) {
			ok(false, "a refusal has a reason", "none");
		}
	}
	close(fd);
	free(chain);
	ok(opened && opened < 1000, "1000 damaged images opened or refused", "all the same");
}

/* qemu-io keeps the image open until its standard input ends. */
static FILE *hold(const char *options, const char *image)
{
	char command[256];
	FILE *f;

	snprintf(command, sizeof(command), "qemu-io %s %s >held", options, image);
	unlink("held");
	f = popen(command, "w");
	if (!f)
		exit(1);
	fputs("length\n", f);
	fflush(f);
	while (system("grep -q MiB held 2>/dev/null"))
		usleep(20000);
	return f;
}

static void test_data_locks(struct chain *chain)
{
	struct message why;
	FILE *f;

	f = hold("-f raw", "x.raw");
	refused("x", false, "x.raw: locked|stop|(data file of x)", "data file in use");
	refused("x", true, "x.raw: locked", "data file in use, read-only");
	pclose(f);
	f = hold("", "x");
	refused("x", true, "x: locked|stop", "image with a data file in use");
	pclose(f);
	f = hold("-r -f raw", "x.raw");
	opens("x", false, "qcow2 x rw + x.raw rw", "data file in use by a reader");
	pclose(f);
	if (!chain_open(chain, "x", false, &why)) {
		ok(system("qemu-io -f raw -c 'write 0 64k' x.raw >/dev/null 2>&1"),
		   "no write to the data file while the chain is open", "it was written");
		chain_close(chain);
	}
}

static void test_locks(void)
{
	struct chain *chain = malloc(sizeof(*chain));
	struct message why;
	FILE *f;

	run("qemu-img create -q -f qcow2 -b plain -F qcow2 over");
	f = hold("", "over");
	refused("over", false, "over: locked|stop", "image in use");
	refused("over", true, "over: locked|stop", "image in use, read-only");
	pclose(f);
	opens("over", false, "qcow2 over rw, qcow2 plain", "image in use no more");
	f = hold("", "plain");
	refused("over", true, "plain: locked|(backing file of over)", "backing file in use");
	pclose(f);
	f = hold("-r", "plain");
	opens("over", false, "qcow2 over rw, qcow2 plain", "backing file in use by a reader");
	pclose(f);
	if (!chain_open(chain, "over", false, &why)) {
		ok(system("qemu-img rebase -u -b '' over 2>/dev/null"),
		   "no rebase while the chain is open", "it was rebased");
		chain_close(chain);
	}
	ok(!system("qemu-img snapshot -l over"), "reading is not locked", "locked");
	test_data_locks(chain);
	free(chain);
}

static int open_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_damage(void)
{
	unsigned char *image = calloc(1, IMAGE_SIZE);

	run("qemu-img create -q -u -f qcow2 -b plain -F qcow2 victim 1M");
	read_image("victim", image);
	test_header(image);
	fuzz_header(image);
	fuzz_chain(image);
	read_image("x", image);
	fuzz_header(image);
	fuzz_chain(image);
	test_extensions(image);
	test_far_extension();
	run("qemu-img create -q -u -f qcow2 -o data_file=x.raw -b plain -F qcow2 both 1M");
	read_image("both", image);
	test_header(image);
	fuzz_header(image);
	fuzz_chain(image);
	free(image);
}

static void test_sizes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 }, { "512", 512 }, { "4K", 4096 }, { "4k", 4096 }, { "2MiB", 2 << 20 },
		{ "1MB", 1000000 }, { "15E", 15ull << 60 }, { "1.5G", 3ull << 29 },
		{ "0.25MB", 250000 }, { "1.50000000000000000000K", 1536 }, { "15.9E", 0xfe66666666666666 },
		{ "512B", 512 },
	};
	static const char *const bad[] = { "", "x", "-1", "1X", "1KiX", "16E", "1K ", "1.5",
					   "1.G", ".5G", "1..5G", "1.5.5G", "1.5B", "1,5G", "B",
					   "99999999999999999999" };
	static const struct {
		uint64_t bytes;
		const char *text;
	} shown[] = {
		{ 0, "0B" }, { 1023, "1023B" }, { 1024, "1K" }, { 1536, "1.5K" },
		{ 1ull << 30, "1G" }, { UINT64_MAX, "16E" }, { (1 << 20) - 1, "1024K" },
	};
	char text[SIZE_TEXT];
	uint64_t n;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		ok(!size_parse(good[i].text, &n) && n == good[i].bytes, good[i].text, "wrong");
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(size_parse(bad[i], &n), "bad size refused", bad[i]);
	for (i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
		size_format(shown[i].bytes, text);
		ok(!strcmp(text, shown[i].text), shown[i].text, text);
	}
}

static void test_mounts(void)
{
	static const char lines[] =
		"22 1 259:99 / / rw - ext4 /dev/root rw\n"
		"40 22 0:44 / /mnt/qcow20 rw shared:2 - tmpfs /dev/qcow2 rw\n"
		"41 22 0:45 / /mnt/a\\040b\\012c rw - btrfs /dev/qcow23p1 rw\n"
		"42 22 0:46 /x - y /mnt/c rw - btrfs /dev/qcow213 rw\n";
	FILE *f = fmemopen((void *)lines, sizeof(lines) - 1, "r");
	struct message user;

	ok(find_mount(f, 3, &user) && !strcmp(user.text, "mounted on /mnt/a b\nc"),
	   "mounted partition found", user.text);
	rewind(f);
	ok(!find_mount(f, 1, &user), "another device is not found", user.text);
	fclose(f);
}

static void test_names(void)
{
	static const char *const good[] = { "7", "qcow27", "/dev/qcow27" };
	static const struct {
		const char *name;
		const char *reason;
	} bad[] = {
		{ "", "no such device" }, { "/dev/qcow27p1", "is a partition" },
		{ "qcow2", "no such device" }, { "7x", "no such device" },
		{ "99999999999", "no such device" }, { "-1", "no such device" },
		{ "/dev/null", "not a qcow2 device" }, { "plain", "not a qcow2 device" },
		{ "qcow21p", "no such device" },
	};
	struct message why;
	size_t i;
	int index;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		ok(!device_index(good[i], &index, &why) && index == 7, good[i], why.text);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(device_index(bad[i].name, &index, &why) &&
		   strstr(why.text, bad[i].reason), bad[i].name, why.text);
}

static void test_utf8(void)
{
	char *clean = utf8_dup("a\xc3\xbc\xff\xc3z\xed\xa0\x80");

	ok(!strcmp(clean, "a\xc3\xbc\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"),
	   "bytes that are not UTF-8 are replaced", clean);
	free(clean);
}

int main(void)
{
	int before = open_fds();

	test_good();
	test_absolute();
	test_not_an_image();
	test_permission();
	test_bad_backing();
	test_data_file();
	test_data_absolute();
	test_bad_data_file();
	test_data_twice();
	test_data_permission();
	test_health();
	test_depth();
	test_damage();
	test_locks();
	test_sizes();
	test_mounts();
	test_names();
	test_utf8();
	ok(open_fds() == before, "no descriptor left open", "some");
	printf("1..%u\n", nr_tests);
	return nr_failed ? 1 : 0;
}
