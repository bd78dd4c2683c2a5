#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# image kinds out of the matrix, part 4

. "${0%/*}/lib.sh"
. "$test_dir/kind_test.sh"

test_kinds io 1299 78 157 292 195 291 371
