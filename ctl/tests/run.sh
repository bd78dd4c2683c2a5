#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the tests of qcow2ctl in a scratch directory: run.sh BUILDDIR

set -o pipefail
cd "$(dirname "$0")" || exit 1
build=$(realpath "$1")
tests=$PWD
failed=0
nr=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/qcow2ctl.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT

suite()
{
	local name=$1

	shift
	nr=$((nr + 1))
	mkdir "$scratch/$name" && cd "$scratch/$name" || exit 1
	"$@" 2>&1 | tee "$scratch/log" | sed 's/^/    /'
	case ${PIPESTATUS[0]} in
	0)
		echo "ok $nr $name"
		;;
	4)
		echo "ok $nr $name # SKIP $(sed -n 's/^1..0 # SKIP //p' "$scratch/log")"
		;;
	*)
		echo "not ok $nr $name"
		failed=1
		;;
	esac
}

echo "KTAP version 1"
echo "1..6"
# The suites have make run without a word of its own.
unset MAKEFLAGS MFLAGS
suite unit "$build/unit_test"
# Whoever runs this in the background may have signals ignored.
suite command env --default-signal "$tests/command_test.sh" "$build/qcow2ctl"
suite habits env --default-signal "$tests/habits_test.sh" "$build/qcow2ctl"
suite man "$tests/man_test.sh" "$build/qcow2ctl"
suite completion "$tests/completion_test.sh" "$build/qcow2ctl"
suite generator "$tests/generator_test.sh" "$tests/../systemd/qcow2-generator.in"
exit $failed
