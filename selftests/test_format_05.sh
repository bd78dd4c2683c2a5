#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# image kinds with windows in the middle of I/O, part 1

. "${0%/*}/lib.sh"
. "$test_dir/kind_test.sh"

test_kinds window 1299 403 424 443 581 771 712 775
