#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What parts of an image were written, and in which order?

usage: scale_writes.py IMAGE TRACE

TRACE has the events scale_dio and ext4_sync_file_enter of the image's file alone.
Where each of its tables is, IMAGE itself tells, read here by the specification
(without internal snapshots and extended L2 entries)."""

import collections
import re
import struct
import sys

OFFSET = 0x00fffffffffffe00
EVENT = re.compile(r" scale_dio: .* pos=(\d+) write=(\d+) | (ext4_sync_file_enter): ")


class Image:
    """Where the tables of an image are, and how much they name."""

    def __init__(self, path):
        self.kinds = {}
        with open(path, "rb") as self.file:
            head = struct.unpack(">IIQIIQIIQQII", self.file.read(64))
            self.size = 1 << head[4]
            l1_size, l1, reftable = head[7:10]
            reftable_entries = head[10] * self.size // 8
            tables = self.entries(l1, l1_size)
            blocks = self.entries(reftable, reftable_entries)
            data = [host for at in tables
                    for host in self.entries(at, self.size // 8)]
        self.name("l2", tables)
        self.name("refcounts", blocks)
        self.name("l1", range(l1, l1 + l1_size * 8, self.size))
        self.name("reftable", range(reftable, reftable + reftable_entries * 8,
                                    self.size))
        self.name("header", [0])
        self.nr_tables = len(tables)
        self.nr_data = len(data)

    def entries(self, offset, nr):
        """What a table names."""
        self.file.seek(offset)
        found = self.file.read(8 * nr)
        return [raw & OFFSET for raw in struct.unpack(f">{len(found) // 8}Q", found)
                if raw & OFFSET]

    def name(self, kind, offsets):
        self.kinds.update({at: kind for at in offsets})

    def kind(self, offset):
        return self.kinds.get(offset & -self.size, "data")


def read_trace(image, path):
    """What was done, one after the other."""
    with open(path, encoding="ascii", errors="replace") as trace:
        for pos, write, flush in EVENT.findall(trace.read()):
            if flush:
                yield "flush"
            elif write == "0":
                yield "read"
            else:
                yield image.kind(int(pos))


def main():
    image = Image(sys.argv[1])
    steps = list(read_trace(image, sys.argv[2]))
    for kind in ("data", "refcounts", "l2", "l1", "reftable", "header"):
        print(f"write-{kind}\t{steps.count(kind)}")
    print(f"image-reads\t{steps.count('read')}")
    print(f"image-data\t{image.nr_data}")
    print(f"image-tables\t{image.nr_tables}")
    # What follows a write of data, up to the next one.
    orders = " ".join(step for step in steps if step != "read").split("data")[1:]
    for order, times in collections.Counter(orders).most_common(6):
        print(f"order data{order.rstrip()}\t{times}")


main()
