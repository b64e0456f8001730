"""What a logit store costs as it grows: in examples, classes and views.

    python benchmarks/store_growth.py [--rounds 3] [--json FILE]

Each row runs in a process of its own, without TensorFlow. Filling includes the flush to the disk;
verifying reads every byte, from the page cache; of both, `cpu` is the processor's time alone. A
batch is 128 random rows of one view, as in an epoch. Memory is what the process allocates
(anonymous pages): at the peak of filling, and with the views open in memory or mapped.
"""

import contextlib
import multiprocessing
import os
import pathlib
import statistics
import tempfile
import time

import measuring
import numpy as np

from keras_logitkd.storage.logit_store import LogitStore, StoreKey

BASE = {"examples": 60_000, "classes": 100, "views": 1}
CELLS = (
    {"examples": 6_000},
    {},
    {"examples": 600_000},
    {"classes": 10},
    {"classes": 1_000},
    {"views": 4},
    {"views": 16},
)
ROWS = 6_000  # of logits that the teacher hands over at once
TIMES = (
    "fill_s",
    "fill_cpu_s",
    "verify_s",
    "verify_cpu_s",
    "open_ms",
    "batch_us",
    "batch_mapped_us",
)
MEMORY = ("fill_mb", "in_memory_mb", "mapped_mb")


def anonymous_mb():
    """Megabytes that this process has allocated; files it maps do not count."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1e3


def seconds(function, *args):
    started = time.perf_counter()
    function(*args)
    return time.perf_counter() - started


def clocks(function):
    """Returns (wall, cpu) seconds of a call on one core."""
    wall, cpu = measuring.timed(function)
    return wall, cpu * measuring.CORES


def batch_seconds(store, cell):
    """Median seconds to read 128 random rows, cast as the input pipeline casts them."""
    rng, times = np.random.default_rng(0), []
    last = cell["views"] - 1
    for _ in range(200):
        rows = rng.integers(0, cell["examples"], 128)
        times.append(seconds(lambda r=rows: np.asarray(store.read(last)[r], np.float32)))
    return statistics.median(times)


def measure(cell):
    """Returns a row: times and memory of one store."""
    logits, peaks = np.random.default_rng(0).normal(size=(ROWS, cell["classes"])), []
    logits = logits.astype(np.float32)
    key = StoreKey("teacher", "data", "all", cell["examples"], cell["classes"], {})
    views, row = range(cell["views"]), dict(cell)

    def batches():
        for _ in range(0, cell["examples"], ROWS):
            peaks.append(anonymous_mb())
            yield logits

    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        path, before = pathlib.Path(directory) / "store", anonymous_mb()
        store = LogitStore(path, key)
        row["fill_s"], row["fill_cpu_s"] = clocks(
            lambda: [store.fill(view, batches()) for view in views]
        )
        row["fill_mb"] = max(peaks) - before
        row["size_mb"] = store.size / 1e6
        row["open_ms"] = 1e3 * statistics.median(seconds(LogitStore, path) for _ in range(20))
        for budget, kind, column in (
            (0, "mapped", "batch_mapped_us"),
            (2**34, "in_memory", "batch_us"),
        ):
            before, store = anonymous_mb(), LogitStore(path, memory_budget=budget)
            verify = clocks(lambda store=store: [store.read(view) for view in views])
            row.setdefault("verify_s", verify[0])
            row.setdefault("verify_cpu_s", verify[1])
            row[column] = 1e6 * batch_seconds(store, cell)
            row[f"{kind}_mb"] = anonymous_mb() - before
    return row


def main():
    options = measuring.options(__doc__, rounds=3)
    names, rows = ("examples", "classes", "views", "size_mb", *TIMES, *MEMORY), []
    found = {index: [] for index in range(len(CELLS))}
    for _ in range(options.rounds):
        for index, cell in enumerate(CELLS):
            context = multiprocessing.get_context("spawn")
            with contextlib.closing(context.Pool(1)) as pool:
                found[index].append(pool.apply(measure, [BASE | cell]))
    print(" ".join(f"{name:>15s}" for name in names))
    for measured in found.values():
        row = {name: statistics.median(one[name] for one in measured) for name in names}
        rows.append(row)
        print(" ".join(f"{row[name]:15.4g}" for name in names))
    measuring.write({**measuring.machine(), "rounds": options.rounds, "rows": rows}, options.json)


if __name__ == "__main__":
    main()
