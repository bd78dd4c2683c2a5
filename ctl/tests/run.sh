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
	if "$@" 2>&1 | sed 's/^/    /'; then
		echo "ok $nr $name"
	else
		echo "not ok $nr $name"
		failed=1
	fi
}

echo "KTAP version 1"
echo "1..3"
suite unit "$build/unit_test"
# Whoever runs this in the background may have signals ignored.
suite command env --default-signal "$tests/command_test.sh" "$build/qcow2ctl"
suite generator "$tests/generator_test.sh" "$tests/../systemd/qcow2-generator.in"
exit $failed
