#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Completion, driven as readline would, without a terminal.
# completion_test.sh QCOW2CTL

# For a /sys/block of our own.
if [ -z "${OWN_MOUNTS-}" ] && unshare -m true 2>/dev/null; then
	OWN_MOUNTS=yes exec unshare -m "$0" "$@"
fi
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
top=$(realpath -- "${0%/*}/../..")
library=/usr/share/bash-completion/bash_completion
[ -e $library ] || skip_all "bash-completion is missing (see selftests/vm/deps)"
# shellcheck source=/dev/null
. $library
# shellcheck source=../completion/qcow2ctl
. "$top/ctl/completion/qcow2ctl"
# Only readline has it; what was asked for is in $nospace and $filenames.
compopt()
{
	[[ $* != *nospace* ]] || nospace=yes
	[[ $* != *filenames* ]] || filenames=yes
}

# complete_words WORD...: what there is to complete the last of them, sorted, in $out.
# Readline takes an equals sign for a word of its own.
complete_words()
{
	local word

	COMP_WORDS=()
	for word in qcow2ctl "$@"; do
		if [[ $word == -*=* ]]; then
			COMP_WORDS+=("${word%%=*}" "=" "${word#*=}")
			[ -n "${word#*=}" ] || unset 'COMP_WORDS[-1]'
		else
			COMP_WORDS+=("$word")
		fi
	done
	COMP_LINE="qcow2ctl $*"
	COMP_POINT=${#COMP_LINE}
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMPREPLY=()
	why='' nospace='' filenames=''
	_qcow2ctl "$ctl" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}" 2>err
	err=$(cat err)
	out=$(printf '%s\n' "${COMPREPLY[@]}" | sort)
	[ -z "$err" ] || why="wrote to stderr"
}

in_line()
{
	paste -s -d ' '
}

# gives WORDS: they are what is found.
gives()
{
	local want

	want=$(tr ' ' '\n' <<<"$1" | sort)
	[ "$out" = "$want" ] || why="$why; is not '$1'"
}

qemu-img create -q -f qcow2 top 1G
mkdir dir
touch 'a b' "$(printf 'a\nc')"

complete_words ''; gives "$(commands "$ctl" | in_line)"; result "commands"
complete_words -v 'de'; gives detach; result "command after an option"
complete_words frob ''; gives ''; result "unknown command"
for c in '' $(commands "$ctl"); do
	# shellcheck disable=SC2086 # perhaps no word
	set -- $c
	complete_words "$@" -; gives "$(options "$ctl" "$@" | cut -d ' ' -f 1,2 | in_line)"
	result "options of ${c:-qcow2ctl}"
	complete_words "$@" --verb; gives --verbose; result "long option of ${c:-qcow2ctl}"
done

complete_words attach --on-enospc=; gives "fail park"; result "attach --on-enospc="
complete_words attach --on-enospc ''; gives "fail park"; result "attach --on-enospc, the next word"
complete_words attach -e p; gives park; result "attach -e"
for c in freeze window; do
	complete_words "$c" --on-timeout=t; gives thaw; result "$c --on-timeout="
	complete_words "$c" -T ''; gives "fail thaw"; result "$c -T"
done
complete_words attach -i ''; gives ''; result "no number is made up"
complete_words attach --cache-size=''; gives ''; result "no size is made up"
complete_words thaw --image=to; gives top; result "thaw --image="
complete_words thaw -i to; gives top; has "$filenames" yes; result "thaw -i"
complete_words overlay -o cluster_s; gives cluster_size=; has "$nospace" yes; result "overlay -o"
complete_words overlay -o compat=1.1,cluster_s; gives compat=1.1,cluster_size=
result "overlay -o, the second one"

for c in list info; do
	columns=$("$ctl" $c --help | sed -n 's/^ \([A-Z][A-Z-]*\)  .*/\1/p' | in_line)
	complete_words "$c" --output ''; gives "$columns"; has "$nospace" yes; result "columns of $c"
	complete_words "$c" -o ''; gives "$columns"; result "columns of $c -o"
done
complete_words list --output=na; gives NAME; result "a column in lower case"
complete_words list -o NAME,STATE,; [[ " $(in_line <<<"$out") " != *,NAME\ * ]] || why=again
has "$(in_line <<<"$out")" "*NAME,STATE,RO*"; result "columns, the third one"
complete_words list -o +ca; gives "+CACHE +CACHE-USED"; result "columns in addition"
complete_words list ''; gives ''; result "list has no argument"

complete_words attach ''; has "$out" "a${nl=$'\n'}*a b${nl}*dir${nl}*top*"; has "$filenames" yes
result "files for attach"
complete_words attach -r -- t; gives top; result "files after --"
complete_words attach --index 3 t; gives top; result "files after an option with an argument"
complete_words attach top ''; gives ''; result "one image only"
complete_words overlay 0 t; gives top; result "files for overlay"
complete_words snapshot 0 ''; gives ''; result "no name for a snapshot"
complete_words window 0 mkd; has "$out" '*mkdir*'; result "command for window"
complete_words window --timeout=5 -n 0 -- mkd; has "$out" '*mkdir*'; result "command after --"
complete_words window -T fail 0 mkdir --par; gives --parents; result "options of that command"
complete_words window --on-timeout=fail 0 -- "$ctl" de; gives detach
result "arguments of that command"

# Devices are those of sysfs.
if [ -n "${OWN_MOUNTS-}" ]; then
	mkdir -p sys/{qcow20,qcow217,sda,qcow2,qcow2x}
	mount --bind sys /sys/block
	complete_words detach ''; gives "/dev/qcow20 /dev/qcow217"; result "devices for detach"
	complete_words detach /dev/qcow20 ''; gives /dev/qcow217; result "each of them once"
	complete_words detach -f q; gives "qcow20 qcow217"; result "devices without directory"
	complete_words detach 1; gives 17; result "numbers of devices"
	for c in info freeze thaw resume window snapshot overlay; do
		complete_words "$c" /dev/qcow21; gives /dev/qcow217; result "devices for $c"
	done
	complete_words info /dev/qcow20 ''; gives ''; result "one device only"
	complete_words thaw -i top ''; gives "/dev/qcow20 /dev/qcow217"; result "device after --image"
	ln -s /dev/null link
	complete_words info "$PWD/li"; gives "$PWD/link"; result "or a symbolic link"
else
	echo "# SKIP devices: this machine has no mount namespaces for us"
fi

# As bash-completion finds it.
run 0 make -s -C "$top/ctl" install DESTDIR="$PWD/dest" PREFIX=/opt; has "$out" ''
[ -x dest/opt/sbin/qcow2ctl ] || why="$why; no command"
[ -e dest/opt/share/man/man8/qcow2ctl.8 ] || [[ $err == "rst2man is missing"* ]] ||
	why="$why; no manual page"
complete -r qcow2ctl
XDG_DATA_DIRS=$PWD/dest/opt/share __load_completion qcow2ctl
has "$(complete -p qcow2ctl)" '*-F _qcow2ctl qcow2ctl'; result "installed where it is looked for"

finish
