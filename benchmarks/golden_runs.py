"""Two epochs of every command, as hashes of what they leave behind: the same before and after.

    python benchmarks/golden_runs.py make FILE.json [--only NAME[,...]]
    python benchmarks/golden_runs.py compare BEFORE.json AFTER.json

`make` runs the `logitkd` beside the Python that runs this, with one thread, in a directory that is
always the same one, because a dataset's path is part of a run's name; it stays until the next time.
Hashed are metrics.csv, the arrays of every network, stored logits, the settings
and the final numbers of every run without times, versions and paths, under the names that the
commands gave: another name of a run or a store is another line. `compare` exits with 1 where two
files differ.
"""

import argparse
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np

WORK = pathlib.Path(tempfile.gettempdir()) / "logitkd-golden-runs"
QUICK = "--epochs 2 --teacher-epochs 2 --batch-size 16 --validation 0.2 --learning-rate 0.05"
DISTIL = f"distill --dataset npz:tiny.npz --student wrn-10-1 --teacher resnet-8-1 {QUICK} --pad 1"
SWEEP = f"--dataset npz:tiny.npz {QUICK} --seeds 0"
COMMANDS = {
    "train": "train --dataset npz:tiny.npz --model wrn-10-1 --epochs 2 --batch-size 16 --flip",
    "kl": f"{DISTIL} --loss kl --tau 3 --alpha 0.9",
    "mse": f"{DISTIL} --loss mse --views 2",
    "online": f"{DISTIL} --loss mse --seed 1 --no-cache",
    "stages": f"{DISTIL} --loss sequential --switch-epoch 1",
    "at": f"{DISTIL} --loss at",
    "mse_at": f"{DISTIL} --loss mse+at:weight=500",
    "ab": f"{DISTIL} --loss ab:init_epochs=1",
    "seeds": f"{DISTIL} --loss kl --tau inf --seeds 0,1 --name mine --baseline",
    "cpu2": f"{DISTIL} --loss mse --devices cpu:2 --seed 2",
    "digits": "distill --student wrn-10-1 --teacher wrn-10-1 --epochs 2 --teacher-epochs 2 "
    "--examples 300",
    "cache": f"cache --dataset npz:tiny.npz --teacher wrn-10-1 {QUICK} --flip "
    "--logit-dtype float16",
    "tune": f"tune --dataset npz:tiny.npz --student wrn-10-1 --teacher resnet-8-1 {QUICK} "
    "--losses kl,mse,at --search random --trials 3 --alpha-range 0.5,1",
    "sequential": f"sequential wrn-10-1 resnet-8-1:kl:3 wrn-10-1:mse {SWEEP}",
    "noise": f"noise --student wrn-10-1 --teacher resnet-8-1 --noise symmetric:0.4 --losses "
    f"ce,kl:0.5,mse {SWEEP}",
    "table2": f"reproduce table2 --scale smoke {SWEEP}",
}
_NO_NUMBER = ("seconds", "teacher_seconds", "versions", "worker_digests")  # of equal runs differ


def make(file, only):
    """Runs the commands and writes {command/path: hash} as JSON."""
    shutil.rmtree(WORK, ignore_errors=True)
    found, started = {}, time.monotonic()
    for name in only or COMMANDS:
        place = WORK / name
        place.mkdir(parents=True)
        _write_data(place / "tiny.npz")
        _run(COMMANDS[name], place)
        found |= {f"{name}/{path}": digest for path, digest in _hashes(place).items()}
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"{len(found)} hashes in {file}")


def compare(before, after):
    """Prints every line in which two files differ. Returns how many there are."""
    ours, theirs = (json.loads(file.read_text()) for file in (before, after))
    differing = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    for name in differing:
        print(f"{name}: {ours.get(name, 'missing')} -> {theirs.get(name, 'missing')}")
    print(f"{len(differing)} of {len({*ours, *theirs})} differ")
    return len(differing)


def _run(command, place):
    script = pathlib.Path(sys.executable).with_name("logitkd")
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run(
        [script, *command.split()],
        cwd=place,
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")


def _write_data(file):
    rng = np.random.default_rng(0)
    parts = {}
    for split, count in (("train", 96), ("test", 48)):
        labels = np.arange(count) % 3
        images = rng.integers(0, 60, (count, 8, 8, 1)) + 70 * labels[:, None, None, None]
        parts |= {f"x_{split}": images.astype(np.uint8), f"y_{split}": labels.astype(np.int64)}
    np.savez(file, **parts)


def _hashes(place):
    """Hashes of the files that are a function of the command alone, by relative path."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.suffix in (".keras", ".npz"):
            found[name] = _hash_of_arrays(path)
        elif path.name == "metrics.csv" or path.suffix == ".npy":
            found[name] = _sha256(path.read_bytes())
        elif path.name in ("config.json", "search.json", "manifest.json", "result.json"):
            found[name] = _sha256(_numbers(path))
        elif path.name in ("best.json", "report.md", "sweep.json", "table.csv", "trials.csv"):
            found[name] = "there"
    return found


def _numbers(path):
    """A JSON file without what differs between equal runs; a store's checksum covers the rest."""
    content = json.loads(path.read_text())
    kept = {name: value for name, value in content.items() if name not in _NO_NUMBER}
    if path.name == "manifest.json":
        del kept["checksum"]
        kept["key"]["teacher"] = "of this run"  # of a file with a date in it
    return json.dumps(kept, sort_keys=True).encode()


def _hash_of_arrays(path):
    """Of a .keras file the weights, of an .npz file the arrays.

    What normalises pixels is left out: it has weights where it was saved before version 0.2.
    """
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return _sha256(b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays)))
    import h5py

    parts, names = [], []
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as weights:
        weights.visit(names.append)
        for name in sorted(names):
            is_pixels = name.startswith("layers/normalization/")
            if isinstance(weights[name], h5py.Dataset) and not is_pixels:
                parts.append(name.encode() + weights[name][()].tobytes())
    return _sha256(b"".join(parts))


def _sha256(content):
    return hashlib.sha256(content).hexdigest()[:16]


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    making = actions.add_parser("make")
    making.add_argument("file", type=pathlib.Path)
    making.add_argument("--only", type=lambda text: text.split(","))
    comparing = actions.add_parser("compare")
    comparing.add_argument("before", type=pathlib.Path)
    comparing.add_argument("after", type=pathlib.Path)
    given = parser.parse_args()
    if given.action == "compare":
        sys.exit(bool(compare(given.before, given.after)))
    make(given.file, given.only)


if __name__ == "__main__":
    main()
