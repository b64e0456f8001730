"""Changes that break a number, one at a time: is there a test that notices?

`python tests/mutations.py [--only TEXT] [--json FILE] [--page docs/mutations.md]` works on a copy.
Each row of `mutations.toml` replaces a text that stands once in the package, wherever that is, and
names the tests of which one must fail then, by function or file, wherever those are. A row with a
`reason` may survive. TensorFlow is imported once: the tests of each row run in a fork.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
BEFORE = HERE / "mutations_before.json"
SECONDS = 400  # after which tests that go on are taken for caught: a mutation may loop
_PYTEST = ("-x", "-q", "--tb=short", "-p", "no:cacheprovider", "--hypothesis-seed=0")
_PAGE = """# Mutations: does a test notice?

`python tests/mutations.py --page docs/mutations.md` writes this page. It applies each of {count}
changes that break a number to a copy of the package, one at a time, and runs the tests that are
nearest. {caught} are caught, in {minutes:.0f} minutes on one core. Before there were tests for the
survivors (commit {commit}, whole files of the nearest tests) {caught_before} of {tried} were.
The changes and their tests are in `tests/mutations.toml`.

| mutation | what it does | before | now | caught by, or why not |
|---|---|---|---|---|
{table}
"""
_OUTCOMES = {0: "survived", 1: "caught", None: "caught"}


class Copy:
    """The package as if it were installed, and its tests, below a directory.

    Args:
        place: an empty directory.
    """

    def __init__(self, place):
        self.place, self.package = place, place / "keras_logitkd"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HERE.parent / "keras_logitkd", self.package, ignore=ignored)
        for part in ("zoo", "cli"):  # mapped into the package by an editable installation
            if (HERE.parent / part).is_dir():
                shutil.copytree(HERE.parent / part, self.package / part, ignore=ignored)
        shutil.copytree(HERE, place / "tests", ignore=ignored)
        shutil.copytree(HERE.parent / "docs", place / "docs", ignore=ignored)
        shutil.copy(HERE.parent / "pyproject.toml", place)
        self.sources = {path: path.read_text() for path in sorted(self.package.rglob("*.py"))}
        tests = sorted((place / "tests").rglob("test_*.py"))
        self.tests = {path: path.read_text() for path in tests}

    def enter(self):
        """Lets this process, and those that it starts, import the copy. Returns whether they do."""
        os.chdir(self.place)
        os.environ |= {"PYTHONPATH": str(self.place), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.path[0], sys.dont_write_bytecode = str(self.place), True
        script = "import keras_logitkd.zoo as z, keras_logitkd as k; print(k.__file__, z.__file__)"
        found = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        return all(name.startswith(str(self.package)) for name in found.stdout.split())

    def file_of(self, old):
        """Returns the file that a text stands in; ValueError unless it stands once in all."""
        counts = {path: text.count(old) for path, text in self.sources.items() if old in text}
        if sum(counts.values()) != 1:
            raise ValueError(f"must stand once. Received: {sum(counts.values())} times\n{old}")
        return next(iter(counts))

    def nodes(self, names):
        """Returns what pytest is to run for names of test functions and of files."""
        return [self._node(name) for name in names]

    def _node(self, name):
        if name.endswith(".py"):
            found = [str(path) for path in self.tests if path.match(name)]
        else:
            begin = re.compile(rf"^def {name}\(", re.MULTILINE)
            found = [f"{path}::{name}" for path, text in self.tests.items() if begin.search(text)]
        if len(found) != 1:
            raise ValueError(f"one test must be named {name}. Received: {found}")
        return found[0]

    def outcome(self, nodes, seconds=SECONDS):
        """Runs tests on the copy as it is.

        Returns:
            (pytest's exit code, or None where time was up, what it said).
        """
        log = self.place / "log"
        process = multiprocessing.get_context("fork").Process(target=_run, args=(log, nodes))
        process.start()
        try:
            process.join(seconds)
            code = process.exitcode
        finally:
            if process.is_alive():
                os.killpg(process.pid, signal.SIGKILL)
                process.join()
        return code, log.read_text(errors="replace")


def _run(log, nodes):
    """Runs pytest in a forked process, a group of its own."""
    os.setsid()
    with log.open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    import pytest

    os._exit(pytest.main([*_PYTEST, *nodes]))


def attempt(copy, row):
    """Applies one mutation, runs its tests, and takes it back.

    Returns:
        Dict of `outcome`, `by` (the test that failed) and `seconds`.

    Raises:
        RuntimeError: If the tests could not be run.
    """
    file, nodes, started = copy.file_of(row["old"]), copy.nodes(row["tests"]), time.monotonic()
    file.write_text(copy.sources[file].replace(row["old"], row["new"]))
    try:
        code, said = copy.outcome(nodes)
    finally:
        file.write_text(copy.sources[file])
    if code not in _OUTCOMES:
        raise RuntimeError(f"{row['id']}: pytest ended with {code}\n{said[-3000:]}")
    failed = re.search(r"^(?:FAILED|ERROR) \S*?([\w.]+(?:::\S+)?)(?: |$)", said, re.MULTILINE)
    seconds = round(time.monotonic() - started, 1)
    return {"outcome": _OUTCOMES[code], "by": failed[1] if failed else None, "seconds": seconds}


def page(rows, found):
    """Returns the results as Markdown, beside those of before."""
    before = json.loads(BEFORE.read_text())
    first, lines = before["results"], []
    for row in rows:
        now, then = found[row["id"]], first.get(row["id"], {}).get("outcome", "-")
        survives = now["outcome"] == "survived"
        why = row.get("reason", "") if survives else f"`{now['by']}`"
        lines.append(f"| {row['id']} | {row['what']} | {then} | {now['outcome']} | {why} |")
    return _PAGE.format(
        count=len(rows),
        caught=sum(each["outcome"] == "caught" for each in found.values()),
        tried=len(first),
        caught_before=sum(each["outcome"] == "caught" for each in first.values()),
        commit=before["commit"],
        minutes=sum(each["seconds"] for each in found.values()) / 60,
        table="\n".join(lines),
    )


def main():
    """Returns the exit code: 1 where something survives without a reason, or cannot be tried."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="TEXT", help="rows whose id has this text")
    parser.add_argument("--json", type=_absolute, metavar="FILE", help="writes the results")
    parser.add_argument("--page", type=_absolute, metavar="FILE", help="writes them as Markdown")
    parser.add_argument("--check", action="store_true", help="only looks texts and tests up")
    parser.add_argument("--trust", action="store_true", help="not first without any mutation")
    arguments = parser.parse_args()
    rows = tomllib.loads((HERE / "mutations.toml").read_text())["mutation"]
    rows = [row for row in rows if (arguments.only or "") in row["id"]]
    with tempfile.TemporaryDirectory(prefix="mutations-") as place:
        copy = Copy(pathlib.Path(place).resolve())
        if not copy.enter():
            return _say("another package than the copy is imported")
        if wrong := _look_up(copy, rows):
            return _say(wrong)
        if arguments.check:
            return 0
        found = _try_all(copy, rows, arguments.json, arguments.trust)
    if arguments.page:
        arguments.page.write_text(page(rows, found))
    alive = [row["id"] for row in rows if found[row["id"]]["outcome"] == "survived"]
    unexplained = [row["id"] for row in rows if row["id"] in alive and not row.get("reason")]
    _say(f"{len(rows)} mutations, {len(rows) - len(alive)} caught, without a reason: {unexplained}")
    return bool(unexplained)


def _absolute(text):
    return pathlib.Path(text).absolute()


def _look_up(copy, rows):
    """Returns what cannot be tried, in lines."""
    wrong = []
    for row in rows:
        try:
            compile(
                copy.file_of(row["old"]).read_text().replace(row["old"], row["new"]), "", "exec"
            )
            copy.nodes(row["tests"])
        except (ValueError, SyntaxError) as error:
            wrong.append(f"{row['id']}: {error}")
    return "\n".join(wrong)


def _try_all(copy, rows, file, trust):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as conftest.py
    import hypothesis
    import keras
    import pandas
    import pytest
    import scipy.stats
    import tensorflow

    _ = hypothesis, keras, pandas, pytest, scipy.stats, tensorflow
    nodes = dict.fromkeys(node for row in rows for node in copy.nodes(row["tests"]))
    code, said = (0, "") if trust else copy.outcome([*nodes], seconds=None)
    if code:
        raise RuntimeError(f"The tests fail without any mutation\n{said[-3000:]}")
    found = {}
    for row in rows:
        found[row["id"]] = attempt(copy, row)
        shown = "{outcome:9}{seconds:6.1f} s  {by}".format(**found[row["id"]])
        _say(f"{row['id']:32}{shown}")
        if file:
            file.write_text(json.dumps({"results": found}, indent=1) + "\n")
    return found


def _say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    return 1


if __name__ == "__main__":
    sys.exit(main())
