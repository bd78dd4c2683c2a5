#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What parts of an image were written?

usage: scale_writes.py IMAGE TRACE

TRACE has the events scale_dio of the image's file alone. Where each
of its tables is, IMAGE itself tells, read here by the specification."""

import re
import struct
import sys

OFFSET = 0x00fffffffffffe00


def table(file, offset, entries):
    file.seek(offset)
    data = file.read(8 * entries)
    return struct.unpack(f">{len(data) // 8}Q", data)


def places(path):
    """Host offset of each cluster of metadata, and what it is."""
    found = {0: "header"}
    with open(path, "rb") as file:
        head = struct.unpack(">IIQIIQIIQQII", file.read(64))
        bits, l1_size, l1, reftable, clusters = (
            head[4], head[7], head[8], head[9], head[10])
        size = 1 << bits
        for entry in table(file, l1, l1_size):
            found[entry & OFFSET] = "l2"
        for entry in table(file, reftable, clusters * size // 8):
            found[entry & ~511] = "refcounts"
    found.update({at: "l1" for at in range(l1, l1 + l1_size * 8, size)})
    found.update({at: "reftable" for at in
                  range(reftable, reftable + clusters * size, size)})
    found[0] = "header"
    return found, size


def main():
    found, size = places(sys.argv[1])
    counts = dict.fromkeys(
        ["data", "refcounts", "l2", "l1", "reftable", "header", "reads"], 0)
    event = re.compile(r" scale_dio: .* pos=(\d+) write=(\d+) ")
    with open(sys.argv[2], encoding="ascii", errors="replace") as trace:
        for line in trace:
            match = event.search(line)
            if not match:
                continue
            if match[2] == "0":
                counts["reads"] += 1
                continue
            counts[found.get(int(match[1]) & -size, "data")] += 1
    for name, count in counts.items():
        print(f"write-{name}" if name != "reads" else "image-reads", count)


main()
