#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# random I/O to a compressed image

. "${0%/*}/lib.sh"

content 32M
compressed a.qcow2
diff_image a.qcow2
