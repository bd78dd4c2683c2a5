#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# image kinds out of the matrix, part 2

. "${0%/*}/lib.sh"
. "$test_dir/kind_test.sh"

test_kinds io 1299 45 257 326 303 132 199
