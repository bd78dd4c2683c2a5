#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tables of what selftests/bench/scale has counted, and whether promises are
kept: exit status 1 if one is not.

usage: scale_report.py scale.tsv"""

import csv
import sys

METADATA = ["refcounts", "l2", "l1", "reftable", "header"]


class Report:
    """What was counted: {(machine, section): {cell: {metric: value}}}."""

    def __init__(self, path):
        self.found = {}
        self.verdicts = []
        with open(path, newline="", encoding="ascii") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                cells = self.found.setdefault((row["machine"], row["section"]), {})
                cells.setdefault(row["cell"], {})[row["metric"]] = int(row["value"])

    def each(self, section):
        """Machines with this section, and its cells by what their names say."""
        for (machine, name), cells in self.found.items():
            if name == section:
                yield machine, {tuple(cell.split(":")): value
                                for cell, value in cells.items()}

    def promise(self, text, kept, figures):
        self.verdicts.append((text, kept, figures))

    def print_verdicts(self):
        title("Promises")
        width = max(len(text) for text, _, _ in self.verdicts)
        for text, kept, figures in self.verdicts:
            print(f"  {text:{width}}  {'kept' if kept else 'NOT KEPT':8}  {figures}")


def title(text):
    print(f"{text}\n{'=' * len(text)}\n")


def print_table(head, rows):
    rows = [[str(field) for field in row] for row in rows]
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    for row in [head] + rows:
        print(("  " + "  ".join(text.ljust(w) if i == 0 else text.rjust(w)
                                for i, (text, w) in enumerate(zip(row, widths)))
               ).rstrip())
    print()


def per(value, n, digits=2):
    return f"{value / n:.{digits}f}" if n else "-"


def thousands(value):
    return f"{value / 1000:.1f}"


def report_fsync(report):
    for machine, cells in report.each("fsync"):
        title(f"4K random writes, each followed by fsync ({machine})")
        rows = []
        for (case, who, jobs), c in cells.items():
            metadata = [c.get("write-" + kind, "-") for kind in METADATA]
            rows.append([f"{case}, {jobs} jobs, {who}", c["writes"], c["fsyncs"],
                         c["host-flushes"], c.get("commits", "-"),
                         c.get("image-data", "-"), *metadata,
                         c["disk-writes"], c["disk-flushes"]])
            if who == "blkqcow2":
                judge_fsync(report, case, int(jobs), c)
        print_table(["", "writes", "fsyncs", "host flushes", "commits", "clusters",
                     *METADATA, "disk writes", "disk flushes"], rows)
        for (case, who, jobs), c in cells.items():
            orders = [(value, key[6:]) for key, value in c.items()
                      if key.startswith("order ")]
            if orders and jobs == "1":
                print(f"  In which order, {case} image, {who}:")
                for times, order in orders:
                    print(f"  {times:6} times {order}")
                print()


def judge_fsync(report, case, jobs, c):
    metadata = sum(c["write-" + kind] for kind in METADATA)
    flushes, fsyncs = c["host-flushes"], c["fsyncs"]
    name = f"fsync, {case} image, {jobs} jobs: "
    if case == "full":
        report.promise(name + "at most a flush for each", flushes <= fsyncs,
                       f"{flushes} for {fsyncs}")
        report.promise(name + "no metadata", not metadata, metadata)
    else:
        # A flush more, a slice of each kind, and L1 once for each new table.
        need = fsyncs + c["image-data"]
        report.promise(name + "no flush more than the order needs",
                       flushes <= need, f"{flushes} of {need}")
        need = 2 * c["image-data"] + c["image-tables"]
        report.promise(name + "no metadata more than that",
                       metadata <= need, f"{metadata} of {need}")
    if jobs > 1:
        shared = c["commits"] if case == "empty" else flushes
        report.promise(name + "fsyncs share", shared < fsyncs,
                       f"{per(fsyncs, shared)} each")
    report.promise(name + "the driver counts as ext4 does",
                   flushes == c["own-flushes"], f"{c['own-flushes']} and {flushes}")


def report_cost(report):
    for machine, cells in report.each("cost"):
        title(f"Cost of such a write with its fsync, thousands of instructions ({machine})")
        names = list(dict.fromkeys((case, jobs) for case, _, jobs in cells))
        whos = list(dict.fromkeys(who for _, who, _ in cells))
        rows = []
        for case, jobs in names:
            costs = {who: cells[case, who, jobs]["cost"] for who in whos
                     if (case, who, jobs) in cells}
            rows.append([f"{case}, {jobs} jobs", *(thousands(costs[w]) for w in whos)])
            if case == "empty" and machine == "icount":
                factor = costs["nbd"] / costs["blkqcow2"]
                report.promise(f"fsync, empty image, {jobs} jobs: "
                               "at least twice qemu-nbd", factor >= 2,
                               f"{factor:.2f} times")
        print_table(["", *whos], rows)


def size_bytes(text):
    return int(text[:-1]) << {"G": 30, "T": 40}[text[-1]]


def report_size(report):
    for machine, cells in report.each("size"):
        title(f"A random 4K read, by size of the disk ({machine})")
        rows = []
        least = min(n for _, n in ((s, int(n)) for s, n in cells))
        near = {}
        for (size, n), c in cells.items():
            more = c["file-reads"] - c["ios"]
            rows.append([f"{size}, {n} places", c["cache-used"] >> 10,
                         thousands(c["cost"]), per(more, c["ios"], 3),
                         per(c["disk-reads"] - c["ios"], c["ios"], 3)])
            if int(n) == least:
                near[size] = c["cost"]
                report.promise(f"reads of {size}, L2 in memory: no metadata read",
                               not more, more)
            else:
                report.promise(f"reads of {size}, beyond the cache: at most one each",
                               more <= c["ios"], per(more, c["ios"], 3))
        print_table(["", "KiB in cache", "cost", "metadata reads", "at the disk"], rows)
        if machine == "icount":
            spread = max(near.values()) / min(near.values())
            report.promise("reads, L2 in memory: as dear for each size (3 %)",
                           spread < 1.03, f"{100 * spread - 100:.1f} %")


def report_attach(report):
    for machine, cells in report.each("attach"):
        title(f"Attach and detach, thousands of instructions ({machine})")
        print_table(["", "attach", "detach", "qcow2ctl itself"],
                    [[f"{cell[0]}, {cell[1]} places", *(f"{c[m] / 1000:.0f}"
                                 for m in ("attach", "detach", "program"))]
                     for cell, c in cells.items()])


def report_memory(report):
    parts = ["Slab", "Percpu", "VmallocUsed", "pages"]
    for machine, cells in report.each("memory"):
        title(f"Memory of an attached idle device, KiB ({machine})")
        print_table(["", "all", "slab", "percpu", "vmalloc", "pages"],
                    [[" ".join(cell), f"{sum(c[p] for p in parts) / c['devices']:.0f}",
                      *(f"{c[p] / c['devices']:.0f}" for p in parts)]
                     for cell, c in cells.items()])


ALLOCATIONS = ["kmalloc", "kmem_cache_alloc", "mm_page_alloc"]
EVENTS = [("kmalloc", "kmalloc"), ("kmem_cache_alloc", "slab"),
          ("mm_page_alloc", "pages"), ("sched_switch", "switches")]


def path_row(cell, c):
    row = [", ".join(cell), thousands(c["cost"]) if "cost" in c else "-"]
    for event, _ in EVENTS:
        row += [per(c[f"{event}-own"], c["ios"]),
                per(sum(c[f"{event}-{k}"] for k in ("own", "below", "other")), c["ios"])]
    row += [per(c["work-own"], c["ios"]), per(c["work"], c["ios"])]
    row.append(per(100 * c["bios-same-page"], c["bios"], 0) if "bios" in c else "-")
    return row


def report_path(report):
    for machine, cells in report.each("path"):
        title(f"What an I/O does, for each: the driver's own, and all ({machine})")
        head = ["", "cost"]
        for _, name in EVENTS:
            head += ["own", name]
        head += ["own", "work", "same page %"]
        print_table(head, [path_row(cell, c) for cell, c in cells.items()])
        for (case, who, rw, bs), c in cells.items():
            if who == "blkqcow2":
                judge_path(report, case, f"{bs} {rw}", c)
                judge_below(report, f"{bs} {rw}", c, cells.get((case, "loop", rw, bs)))
        judge_growth(report, cells, machine)


def judge_path(report, case, name, c):
    own = sum(c[f"{event}-own"] for event in ALLOCATIONS)
    if case == "empty":
        # It would not be found on the fast path either.
        report.promise(f"{name}, empty image: allocations are found",
                       own > 0, per(own, c["ios"]))
        return
    report.promise(f"{name}: no allocation", not own, own)
    report.promise(f"{name}: no context switch of its own",
                   not c["sched_switch-own"], c["sched_switch-own"])
    report.promise(f"{name}: no worker (1 %)", c["work-own"] * 100 < c["ios"],
                   f"{c['work-own']} of {c['ios']}")
    report.promise(f"{name}: the disk gets the user's pages",
                   c["bios-same-page"] == c["bios"] > 0,
                   f"{c['bios-same-page']} of {c['bios']}")


def allocations(c):
    """Without pages: it is rather fio's start that takes some or not."""
    return sum(c[f"{event}-{whose}"] for event in ("kmalloc", "kmem_cache_alloc")
               for whose in ("own", "below", "other")) / c["ios"]


def judge_below(report, name, ours, loop):
    """What lies below allocates a bio and what ext4 needs, for loop, too."""
    if loop:
        report.promise(f"{name}: all in all no more allocations than under loop (2 %)",
                       allocations(ours) <= allocations(loop) * 1.02,
                       f"{allocations(ours):.2f}, {allocations(loop):.2f}")


# Instructions of a copy of 60 KiB: a word each.
COPY = 60 * 1024 // 8


def judge_growth(report, cells, machine):
    """No copy: 60 KiB more cost little more than they do on the raw file. Each page
    is in a bio twice, though."""
    for rw in ("randread", "randwrite"):
        grown = {}
        for who in ("raw", "blkqcow2"):
            pair = [cells.get(("full", who, rw, bs), {}).get("cost")
                    for bs in ("4k", "64k")]
            if None not in pair:
                grown[who] = pair[1] - pair[0]
        if len(grown) == 2 and machine == "icount":
            more = grown["blkqcow2"] - grown["raw"]
            report.promise(f"{rw}: 60 KiB more do not cost half a copy more than on a "
                           "raw file", more < COPY // 2, f"{more} of {COPY}")


def report_locks(report):
    for machine, cells in report.each("locks"):
        title(f"Waits for a lock, for each million I/Os ({machine})")
        rows = []
        for (case, rw, devices), c in cells.items():
            waits = [f"{c[k] * 1e6 / c['ios']:.0f}" for k in ("own", "below", "other")]
            rows.append([f"{case}, {rw}, {devices} devices", c["ios"], *waits])
            if case == "full":
                report.promise(f"{machine}, {rw}, {devices} devices: "
                               "no wait for a lock of the driver", not c["own"],
                               f"{c['own']} of {c['ios']}")
        print_table(["", "I/Os", "the driver's", "below it", "others"], rows)


def main():
    report = Report(sys.argv[1])
    if not report.found:
        sys.exit("scale_report.py: nothing was counted")
    for section in (report_fsync, report_cost, report_size, report_attach,
                    report_memory, report_path, report_locks):
        section(report)
    report.print_verdicts()
    sys.exit(not all(kept for _, kept, _ in report.verdicts))


main()
