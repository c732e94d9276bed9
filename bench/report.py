#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a table, results.json and results.svg of what bench/run measured.

usage: report.py RAW DIRECTORY

RAW has lines "WHO KEY VALUE", several for a pair: the median counts.
"""

import json
import math
import statistics
import sys

def net_rows(key, name):
    """What goes through usrpci net, beside the kernel's driver of the same card and testpmd."""
    peers = ("dpdk", "kernel")
    rows = [(f"net_{key}_{way}", f"TCP: {verb} 1 KiB by usrpci net on {name}", "ns", 1, None,
             peers) for way, verb in (("send", "send"), ("receive", "receive"))]
    rows += [(f"net_{key}_{way}_busy", f"the same, processor time of both ends, {way}", "ns", 1,
              None, peers) for way in ("send", "receive")]
    rows += [(f"net_{key}_{way}_ratio", f"TCP by usrpci net on {name}: {way}, as a multiple", "",
              1, 1.25, ()) for way in ("send", "receive")]
    rows += [(f"net_{key}_plain_{way}_ratio", f"the same without vhost-net: {way}", "", 1, 2, ())
             for way in ("send", "receive")]
    return rows + [
        (f"net_{key}_ping", f"ping by usrpci net on {name}, the median", "us", 1e-3, None, peers),
        (f"net_{key}_ping_ratio", "the same, as a multiple", "", 1, 1.5, ()),
        (f"net_{key}_ping_quickest", "the quickest ping", "us", 1e-3, None, peers),
        (f"net_{key}_wakeups", f"usrpci net on {name} idle: wake-ups in 20 s", "", 1, 0, ()),
        (f"net_{key}_idle", "the same, of a processor", "%", 1e-3, 0.2, ()),
    ]


NET_ROWS = net_rows("virtio", "virtio-net") + net_rows("e1000", "e1000")

# key, what, unit, factor from the raw value, target in the unit, who else there may be
ROWS = [
    ("ready", "context + device open to DMA memory", "ms", 1e-6, 10, ("dpdk", "plain")),
    ("alloc_free", "allocate + free 4 KiB at 4 KiB", "ns", 1, 20, ("dpdk", "plain")),
    ("random", "random 64 B-8 KiB, 2 000 live, an operation", "ns", 1, 50, ("dpdk",)),
    ("translate", "virtual to device address", "ns", 1, 0.5, ("dpdk", "plain")),
    ("pool_single", "pool get + put, single", "ns", 1, 3, ("dpdk",)),
    ("pool_bulk", "pool get + put, of 32, a buffer", "ns", 1, 0.5, ("dpdk",)),
    ("vm_ready", "context + device open to DMA memory, in the VM", "ms", 1e-6, None, ()),
    ("e1000_pages", "huge pages that the e1000 driver holds", "", 1, 1, ()),
    ("e1000_txonly", "send a frame by the e1000 driver, in the VM", "ns", 1, 400, ("dpdk",)),
    ("virtio_txonly", "send a frame by the virtio-net driver, in the VM", "ns", 1, None, ("dpdk",)),
    ("virtio_send_instructions", "send a frame by virtio-net, instructions of the driver", "", 1,
     80, ("dpdk",)),
    ("virtio_receive_instructions", "receive a frame by virtio-net, the same", "", 1, 80,
     ("dpdk",)),
    ("virtio_pair", "a frame from one virtio-net to another", "ns", 1, None, ("dpdk",)),
    ("vblk_read_instructions", "read 4 KiB by virtio-blk, 32 at a time, instructions", "", 1, 250,
     ()),
    *NET_ROWS,
    ("list", "list devices with names, in the VM", "ms", 1e-6, 50,
     ("lspci", "driverctl", "dpdk-devbind")),
    ("list_many", "list 10 000 functions made of files, processor time", "ms", 1e-6, 1000, ()),
    ("diff_many_auto", "diff of 1 000 functions that all differ, processor time", "ms", 1e-6, 200, ()),
    ("diff_many_named", "... with a named driver", "ms", 1e-6, 200, ()),
    ("vfio_map", "map + unmap 2 MiB for a device on vfio, in the VM", "us", 1e-3, None,
     ("plain",)),
    ("vfio_map_ratio", "the same, as a multiple of the kernel's two calls", "", 1, 1.05, ()),
    ("bind", "bind a NIC to uio_pci_generic, in the VM", "ms", 1e-6, 300, ("dpdk-devbind",)),
    ("run", "usrpci run, to the program's start, in the VM", "ms", 1e-6, None, ()),
    ("run_extra", "the same, less a bind", "ms", 1e-6, 30, ()),
    ("lent_alloc_free_ratio", "lent: allocate + free, as a multiple", "", 1, 1.03, ()),
    ("lent_random_ratio", "lent: random blocks, as a multiple", "", 1, 1.03, ()),
    ("lent_translate_ratio", "lent: translation, as a multiple", "", 1, 1.03, ()),
    ("lent_pool_bulk_ratio", "lent: pool of 32, as a multiple", "", 1, 1.03, ()),
    ("nvme_irq_1", "read 4 KiB by NVMe, depth 1, in the VM", "us", 1e-3, None,
     ("psync", "io_uring", "qemu")),
    ("nvme_irq_32", "the same at depth 32", "us", 1e-3, None, ("io_uring",)),
    ("nvme_poll_1", "polled, depth 1", "us", 1e-3, None, ("io_uring",)),
    ("nvme_poll_32", "polled, depth 32", "us", 1e-3, None, ("io_uring",)),
    ("nvme_nbd", "over NBD, depth 32, by nbdkit or QEMU's server", "us", 1e-3, None, ("qemu",)),
    ("nvme_nbd_counted", "the same, by a clock that counts an instruction as 1 ns", "us", 1e-3,
     None, ("qemu",)),
    ("nvme_idle", "processor of an idle server of a disk", "%", 0.1, 0.1, ()),
    ("nvme_instructions_32", "instructions a read, polled, depth 32", "", 1, 250,
     ("io_uring",)),
    ("nvme_instructions_poll_1", "the same at depth 1", "", 1, None, ()),
    ("nvme_instructions_1", "instructions a read, by interrupt, depth 1", "", 1, None,
     ("io_uring",)),
    ("nvme_instructions_share", "the same, as a share of io_uring's", "", 1, 0.25, ()),
    ("nvme_instructions_uio_1", "by INTx under uio, in a machine without an IOMMU", "", 1, None,
     ("io_uring",)),
    ("nvme_instructions_uio_share", "the same, as a share of io_uring's", "", 1, 0.25, ()),
    ("lent_e1000_txonly_ratio", "lent: send a frame, as a multiple", "", 1, 1.03, ()),
]


def read_raw(path):
    samples = {}
    with open(path, encoding="ascii") as raw:
        for line in raw:
            who, key, value = line.split()
            samples.setdefault((who, key), []).append(float(value))
    return samples


def add_run_extra(samples):
    """What usrpci run takes until the program starts, beyond what a bind takes."""
    run, bind = samples.get(("usrpci", "run")), samples.get(("usrpci", "bind"))
    if run and bind:
        samples[("usrpci", "run_extra")] = [value - statistics.median(bind) for value in run]


def add_net_ratios(samples):
    """How much longer it takes through usrpci net than by the kernel's driver."""
    for key in [key for who, key in list(samples) if who == "usrpci" and key.startswith("net_")]:
        kernel = samples.get(("kernel", key.replace("_plain", "")))
        if kernel:
            samples[("usrpci", f"{key}_ratio")] = [
                statistics.median(samples[("usrpci", key)]) / statistics.median(kernel)]


def figure(samples, who, row):
    values = samples.get((who, row[0]))
    return statistics.median(values) * row[3] if values else None


def add_share(samples):
    """What a read by interrupt takes of the processor, beside the kernel's."""
    for way in ("", "_uio"):
        key = f"nvme_instructions{way}_1"
        ours, kernels = samples.get(("usrpci", key)), samples.get(("io_uring", key))
        if ours and kernels:
            samples[("usrpci", f"nvme_instructions{way}_share")] = [
                statistics.median(ours) / statistics.median(kernels)]


def results_of(samples):
    results = []
    for row in ROWS:
        ours = figure(samples, "usrpci", row)
        if ours is None:
            continue
        peers = {who: figure(samples, who, row) for who in row[5]}
        results.append({
            "key": row[0],
            "what": row[1],
            "unit": row[2],
            "usrpci": ours,
            "target": row[4],
            "met": None if row[4] is None else ours <= row[4],
            "samples": len(samples[("usrpci", row[0])]),
            "peers": {who: value for who, value in peers.items() if value is not None},
        })
    return results


def show(value):
    if value is None:
        return "-"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def target_of(result):
    return "-" if result["target"] is None else "<= " + show(result["target"])


def print_table(results):
    head = ("what", "unit", "usrpci", "DPDK", "plain", "ratio", "target", "met", "others")
    lines = [head]
    for result in results:
        peers = result["peers"]
        others = [f"{who} {show(peers[who])}" for who in peers if who not in ("dpdk", "plain")]
        peer = peers.get("dpdk", min(peers.values(), default=None))
        ratio = f"{show(peer / result['usrpci'])}x" if peer else "-"
        lines.append((result["what"], result["unit"], show(result["usrpci"]),
                      show(peers.get("dpdk")), show(peers.get("plain")), ratio,
                      target_of(result), {True: "yes", False: "NO", None: "-"}[result["met"]],
                      ", ".join(others)))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [cell.rjust(width) if 2 <= i <= 6 else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())
    if any("dpdk" in r["peers"] for r in results if r["key"].startswith("net_")):
        print("DPDK's TCP and ping: testpmd forwards between its drivers of the card and of a TAP; "
              "it polls,\nand shares the only processor with both ends, as usrpci net does")
    print("ratio: DPDK's figure, or the best of the others where there is none, to usrpci's")


COLOURS = {"usrpci": "#1a7f37", "dpdk": "#8250df", "plain": "#9a6700", "lspci": "#0969da",
           "driverctl": "#bf3989", "dpdk-devbind": "#8250df", "psync": "#0969da",
           "io_uring": "#bc4c00", "qemu": "#57606a", "kernel": "#0550ae"}
LABEL, WIDTH, BAR = 330, 420, 14


def bars_of(result):
    return [("usrpci", result["usrpci"])] + sorted(result["peers"].items())


def svg_of(results):
    """Bars on a logarithmic scale of their own for each row, the target a line across."""
    parts, y = [], 34
    for result in results:
        bars = bars_of(result)
        values = [value for _, value in bars] + [result["target"] or result["usrpci"]]
        low = math.log10(max(min(values), 0.01)) - 0.3
        scale = WIDTH / (math.log10(max(*values, 0.02)) - low + 0.1)

        def at(value, low=low, scale=scale):
            return LABEL + (math.log10(max(value, 10 ** low)) - low) * scale

        height = len(bars) * BAR
        parts.append(f'<text x="{LABEL - 8}" y="{y + height / 2 + 4}" text-anchor="end">'
                     f'{result["what"]}</text>')
        for i, (who, value) in enumerate(bars):
            top = y + i * BAR
            parts.append(f'<rect x="{LABEL}" y="{top + 1}" width="{at(value) - LABEL:.1f}" '
                         f'height="{BAR - 2}" fill="{COLOURS[who]}"/>')
            parts.append(f'<text x="{at(value) + 4:.1f}" y="{top + 11}">'
                         f'{who} {show(value)} {result["unit"]}</text>')
        if result["target"] is not None:
            parts.append(f'<path d="M{at(result["target"]):.1f} {y - 2}v{height + 4}" '
                         'stroke="#cf222e" stroke-dasharray="3 2"/>')
        y += height + 12
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + WIDTH + 170}" height="{y}" '
            'font-family="sans-serif" font-size="11">\n'
            '<rect width="100%" height="100%" fill="white"/>\n'
            '<text x="8" y="18">usrpci beside others: less is better, logarithmic; '
            'red: the target</text>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    samples = read_raw(sys.argv[1])
    add_run_extra(samples)
    add_share(samples)
    add_net_ratios(samples)
    results = results_of(samples)
    with open(f"{sys.argv[2]}/results.json", "w", encoding="utf-8") as out:
        json.dump(results, out, indent=2)
        out.write("\n")
    with open(f"{sys.argv[2]}/results.svg", "w", encoding="utf-8") as out:
        out.write(svg_of(results))
    print_table(results)
    aimed = [result for result in results if result["met"] is not None]
    print(f"{sum(result['met'] for result in aimed)} of {len(aimed)} targets met; "
          f"written: {sys.argv[2]}/results.json, results.svg")


main()
