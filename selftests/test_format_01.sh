#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# image kinds out of the matrix, part 1

. "${0%/*}/lib.sh"
. "$test_dir/kind_test.sh"

test_kinds io 1299 0 18 20 399 302 268
