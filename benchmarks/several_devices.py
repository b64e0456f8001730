"""`logitkd distill` on one device, on the CPU as two devices and in two workers: speed and memory.

    python benchmarks/several_devices.py [--epochs 8] [--seeds 3] [--teacher FILE] [--json FILE]

The digits, a WRN-10-1 from a teacher file (by default an untrained one), with seeds 0, 1 and so on.
The arms take turns. Accuracies and losses are means and standard deviations over the seeds. Speed
is the best epoch of all seeds but the first one of each training, in which TensorFlow compiles:
other work on the machine can only make an epoch slower. Memory is the largest sum over an arm's
processes of what each has resident, looked at ten times a second.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ARMS = {
    "one device": (),
    "cpu:2": ("--devices", "cpu:2"),
    "cpu:2, sync": ("--devices", "cpu:2", "--sync-batch-norm"),
    "2 workers": ("--workers", "2"),
    "2 workers, sync": ("--workers", "2", "--sync-batch-norm"),
}
COMMAND = "from keras_logitkd.cli.main import main; main()"


def distil(arm, seed, arguments, teacher, directory):
    """Runs one arm. Returns its result.json with images/s of each epoch, peak and wall time."""
    command = [sys.executable, "-c", COMMAND, "distill", "--student", "wrn-10-1"]
    command += ["--teacher", teacher, "--epochs", str(arguments.epochs), "--name", "run"]
    command += ["--seed", str(seed)]
    command += ["--runs-dir", directory / arm, *ARMS[arm]]
    started, peak = time.monotonic(), 0
    with (directory / "said").open("w+") as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        while process.poll() is None:
            peak = max(peak, sum(map(resident, family(process.pid))))
            time.sleep(0.1)
        said.seek(0)
        text = said.read()
    if process.returncode:
        sys.exit(f"{arm} failed: {text}")
    result = json.loads((directory / arm / "run" / "result.json").read_text())
    speeds = [float(number.replace(",", "")) for number in re.findall(r"([\d,]+) images/s", text)]
    return {**result, "speeds": speeds, "peak": peak, "wall": time.monotonic() - started}


def family(parent):
    """Ids of a process and of its children."""
    own = pathlib.Path(f"/proc/{parent}/task/{parent}/children")
    try:
        return [parent, *map(int, own.read_text().split())]
    except OSError:
        return [parent]


def resident(process):
    """Bytes that a process has in memory; 0 when it is gone."""
    try:
        pages = pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--teacher")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    runs = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as place:
        teacher = arguments.teacher or untrained(place)
        for seed in range(arguments.seeds):
            directory = pathlib.Path(place) / str(seed)
            directory.mkdir()
            for arm in ARMS:
                runs[arm].append(distil(arm, seed, arguments, teacher, directory))
                print(arm, json.dumps(runs[arm][-1]), file=sys.stderr, flush=True)
    print(
        "| | test accuracy (%) | train loss | images/s, best epoch | peak memory, MB | seconds |\n"
        "|---|---|---|---|---|---|"
    )
    for arm, done in runs.items():
        accuracy = spread([100 * run["test_accuracy"] for run in done], 2)
        loss = spread([run["train_loss"] for run in done], 3)
        speed = max(speed for run in done for speed in run["speeds"][1:])
        peak, wall = (min(run[name] for run in done) for name in ("peak", "wall"))
        print(f"| {arm} | {accuracy} | {loss} | {speed:,.0f} | {peak / 1e6:,.0f} | {wall:.0f} |")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(runs, indent=2))


def spread(values, digits):
    """Mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def untrained(place):
    script = (
        "import sys, keras; keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), "
        "keras.layers.Rescaling(1 / 16), keras.layers.Dense(10)]).save(sys.argv[1])"
    )
    file = str(pathlib.Path(place) / "teacher.keras")
    subprocess.run([sys.executable, "-c", script, file], check=True, stderr=subprocess.DEVNULL)
    return file


if __name__ == "__main__":
    main()
