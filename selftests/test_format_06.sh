#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# image kinds with windows in the middle of I/O, part 2

. "${0%/*}/lib.sh"
. "$test_dir/kind_test.sh"

test_kinds window 1299 408 591 769 566 601 643 509
