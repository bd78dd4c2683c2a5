#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The manual pages: are they well-formed, and do they say what is so?
# man_test.sh QCOW2CTL

# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
top=$(realpath -- "${0%/*}/../..")
docs=$top/Documentation/man
export LC_ALL=C.UTF-8 MANWIDTH=200

for tool in rst2man man mandoc lexgrog; do
	command -v $tool >/dev/null || skip_all "$tool is missing (see selftests/vm/deps)"
done

# shown PAGE: as it is read, one paragraph in a line.
shown()
{
	man --nh --nj -l "man/$1"
}

# section HEADING: of the page on standard input.
section()
{
	awk -v heading="$1" '/^[A-Z]/ { inside = $0 == heading; next } inside'
}

# of_command NAME: that part of COMMANDS.
of_command()
{
	section COMMANDS <qcow2ctl.txt |
	awk -v name="$1" '/^   [a-z]/ { inside = $1 == name; next } inside'
}

# man_options: lines "-x --long", and "-x --long +" if it has an argument.
man_options()
{
	sed -n 's/^       \(-.\), \(--[a-z-]*\)$/\1 \2/p
		s/^       \(-.\) [A-Z]*, \(--[a-z-]*\) [A-Z]*$/\1 \2 +/p' | sort
}

# help_options [COMMAND]: the same of --help.
help_options()
{
	options "$ctl" "$@" | sed 's/ [A-Z].*/ +/' | sort
}

# columns: the names in the tagged paragraphs on standard input.
columns()
{
	sed -n 's/^       \([A-Z][A-Z-]*\)\( .*\)\{0,1\}$/\1/p' | sort
}

# help_columns COMMAND
help_columns()
{
	"$ctl" "$1" --help | sed -n 's/^ \([A-Z][A-Z-]*\)  .*/\1/p' | sort
}

# same WHAT MAN OTHER
same()
{
	[ -n "$2" ] || why="$why; no $1"
	[ "$2" = "$3" ] || why="$why; $1: $(diff <(echo "$2") <(echo "$3") | grep '^[<>]')"
}

run 0 make -s -C "$docs" O="$PWD/man"; quiet; result "the pages are built without a message"
for page in man/*; do
	page=${page##*/}
	run 0 man --warnings=w -E UTF-8 -l -Tutf8 -Z "man/$page"; has "$err" ''; out=''
	result "$page: groff has nothing to say"
	run 0 mandoc -T lint -W warning "man/$page"; quiet; result "$page: mandoc has nothing to say"
	run 0 lexgrog "man/$page"; has "$out" "man/$page: \"${page%.*} - *\""; result "$page: whatis finds it"
	why=; shown "$page" >"${page%.*}.txt"
	grep -qF "blkqcow2 $("$ctl" -V | cut -d ' ' -f 2) " "${page%.*}.txt" || why="another version"
	result "$page: version"
done

same "commands" "$(section COMMANDS <qcow2ctl.txt | sed -n 's/^   \([a-z][a-z]*\).*/\1/p' | sort)" \
	"$(commands "$ctl" | sort)"
result "commands"
for c in $(commands "$ctl"); do
	why=
	of_command "$c" >part
	same options "$(cat <(man_options <part) <(section 'COMMON OPTIONS' <qcow2ctl.txt | man_options) | sort)" \
		"$(help_options "$c")"
	result "options of $c"
done
why=
same options "$(section 'COMMON OPTIONS' <qcow2ctl.txt | man_options)" "$(help_options)"
result "common options"
for c in list info; do
	why=
	same columns "$(of_command $c | columns)" "$(help_columns $c)"
	result "columns of $c"
done
why=
same statuses "$(section 'EXIT STATUS' <qcow2ctl.txt | sed -n 's/^       \([0-9]\+\).*/\1/p' | sort -n)" \
	"$(sed -n '/^enum {/,/^}/s/^\tEXIT_[A-Z_]*[[:space:]]*= \([0-9]*\),/\1/p' "$top/ctl/qcow2ctl.h" | sort -n)"
result "exit statuses"

why=
header=$top/uapi/linux/blkqcow2.h
same ioctls "$(section IOCTLS <blkqcow2.txt | grep -o '^       QCOW2_CTL_[A-Z]*' | tr -d ' ' | sort)" \
	"$(sed -n 's/^#define \(QCOW2_CTL_[A-Z]*\)[[:space:]]*_IO.*/\1/p' "$header" | sort)"
same flags "$(grep -o 'QCOW2_[A-Z]*_F_[A-Z_]*' blkqcow2.txt | sort)" \
	"$(sed -n 's/^#define \(QCOW2_[A-Z]*_F_[A-Z_]*\).*/\1/p' "$header" | grep -v _DEV_ | sort)"
result "ioctls"
why=
same attributes "$(section FILES <blkqcow2.txt | grep -o '/qcow2/[a-z_]*' | cut -d / -f 3 | sort)" \
	"$(sed -n 's/^static DEVICE_ATTR_R[OW](\([a-z_]*\));/\1/p' "$top/blkqcow2/disk.c" | sort)"
grep -q " $(sed -n 's/^#define QCOW2_QUEUE_DEPTH[[:space:]]*//p' "$top/blkqcow2/disk.c") requests at a$" \
	"$docs/blkqcow2.4.rst" || why="$why; another queue depth"
result "sysfs attributes"
why=
same states "$(section STATES <blkqcow2.txt | grep -oE '^       [a-z, ]+$|^       [a-z]+ ' | tr -cs '[:lower:]' '\n' | grep . | sort)" \
	"$(sed -n '/qcow2_state_name/,/^}/s/.*= "\([a-z]*\)".*/\1/p' "$top/blkqcow2/disk.c" | sort)"
result "states"

# Installation
dest=$PWD/dest
run 0 make -s -C "$docs" O="$PWD/man" install DESTDIR="$dest" PREFIX=/usr; quiet
run 0 man -M "$dest/usr/share/man" -w 8 qcow2ctl; has "$out" "$dest/usr/share/man/man8/qcow2ctl.8"
run 0 man -M "$dest/usr/share/man" -w blkqcow2; has "$out" "$dest/usr/share/man/man4/blkqcow2.4"
result "installed pages are found"
rm -rf dest
run 0 make -s -C "$docs" O="$PWD/none" RST2MAN='' install DESTDIR="$dest"
has "$err" 'rst2man is missing: *python3-docutils*no manual pages are installed'; [ ! -e dest ] || why=dest
result "installation without rst2man"
lines=2 run 2 make -s -C "$docs" O="$PWD/none" RST2MAN=''; has "$err" 'rst2man is missing: *'
result "make man without rst2man"

finish
