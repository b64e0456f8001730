"""What measuring a student beside its teacher takes as the examples grow: memory and time.

    python benchmarks/analysis_memory.py [--rounds 1] [--json FILE]

Each row runs in a process of its own. The networks are random numbers: what is measured is the
measuring (`keras_logitkd.analysis.measure`), in batches of 250 with 1,000 classes and 512
pre-logits. Memory is the process's peak beyond its start, transient arrays of a batch included;
keeping the logits of both networks instead would take `kept_mb` alone.
"""

import contextlib
import multiprocessing
import statistics

import measuring
import numpy as np

from keras_logitkd.analysis.measure import measure

EXAMPLES = (7_500, 15_000, 30_000, 60_000)
CLASSES, FEATURES, BATCH = 1_000, 512, 250


def memory_mb(what):
    """Megabytes that this process has in memory ("VmRSS") or had at most ("VmHWM")."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) / 1e3


def run(examples):
    """Returns a row: megabytes at the peak, and seconds."""
    rng = np.random.default_rng(0)
    # Numbers that are drawn once: drawing takes longer than measuring.
    logits = rng.standard_normal((4 * BATCH, CLASSES), np.float32)
    vectors = rng.standard_normal((4 * BATCH, FEATURES), np.float32)

    def network(first):
        return lambda image: [
            numbers[first + image : first + image + BATCH] for numbers in (vectors, logits)
        ]

    batches = (
        {"image": int(rng.integers(BATCH)), "label": rng.integers(0, CLASSES, BATCH)}
        for _ in range(0, examples, BATCH)
    )
    before = memory_mb("VmRSS")
    wall, cpu = measuring.timed(
        measure, {"student": network(0)}, batches, CLASSES, network(2 * BATCH), (0, 1, 2)
    )
    return {
        "examples": examples,
        "peak_mb": memory_mb("VmHWM") - before,
        "kept_mb": 2 * 4 * examples * CLASSES / 1e6,
        "wall_s": wall,
        "cpu_us_per_example": 1e6 * cpu * measuring.CORES / examples,
    }


def main():
    options = measuring.options(__doc__, rounds=1)
    rows = []
    for examples in EXAMPLES:
        context, found = multiprocessing.get_context("spawn"), []
        for _ in range(options.rounds):
            with contextlib.closing(context.Pool(1)) as pool:
                found.append(pool.apply(run, [examples]))
        rows.append({name: statistics.median(row[name] for row in found) for name in found[0]})
    print(" ".join(f"{name:>20s}" for name in rows[0]))
    for row in rows:
        print(" ".join(f"{value:20.5g}" for value in row.values()))
    measuring.write({**measuring.machine(), "rounds": options.rounds, "rows": rows}, options.json)


if __name__ == "__main__":
    main()
