"""The page on a sweep: a table of runs and what was claimed of it."""

import pathlib

import pandas as pd

from keras_logitkd.analysis import analysis, diagnosis
from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.analysis.picture import pictures
from keras_logitkd.experiments.statistics import summarize
from keras_logitkd.experiments.table_report import SWEEP_FILE
from keras_logitkd.report import page
from keras_logitkd.report.page import INTEGER, NUMBER, PERCENT, SECONDS, TEXT, Section, Table
from keras_logitkd.report.run_page import again
from keras_logitkd.storage.atomic import read_json

_RUNS = (
    ("row", TEXT),
    ("column", TEXT),
    ("seed", INTEGER),
    ("teacher", TEXT),
    ("alpha", NUMBER),
    ("noise", TEXT),
    ("test_accuracy", PERCENT),
    ("validation_accuracy", PERCENT),
    ("train_accuracy", PERCENT),
    ("test_agreement", PERCENT),
    ("seconds", SECONDS),
    ("run", TEXT),
)
_TEXTS = ("row", "column", "teacher", "noise", "run", "error")
MOST_DIAGNOSED = 8


def sweep_page(directory, networks=True):
    """Returns the `Page` on the output directory of a sweep.

    Args:
        directory: a pathlib.Path with sweep.json, table.csv and figure.png.
        networks: as for `write_page`.

    Raises:
        ValueError: If the directory was not written whole, or its runs are not where they were.
    """
    story = read_json(directory / SWEEP_FILE)
    table = directory / "table.csv"
    if story is None or not table.is_file():
        raise ValueError(
            f"{directory} must have {SWEEP_FILE} and table.csv; run the sweep's command again, "
            "which finds its finished runs and writes them"
        )
    frame = pd.read_csv(table, dtype=dict.fromkeys(_TEXTS, str))
    frame[list(_TEXTS)] = frame[list(_TEXTS)].fillna("")
    sections = [
        Section("What was run", text=[story["what"]], facts=_facts(frame, story)),
        Section("Result", tables=_results(frame, story), text=story["notes"]),
    ]
    if story["claims"]:
        sections.append(Section("Claims", claims=[_claim(claim) for claim in story["claims"]]))
    images = [_figure(directory, frame, story)] if (directory / "figure.png").is_file() else []
    text, diagnosed = [], None
    if networks:
        if not pathlib.Path(story["runs_dir"]).is_dir():
            raise ValueError(
                f"The runs of {directory} were in {story['runs_dir']}, which is not there. Put "
                "them back, or leave out pictures and diagnosis with --quick"
            )
        runs = representatives(frame, story["runs_dir"])
        compared = analysis.analyze(runs)
        images += [page.picture_image(picture) for picture in pictures(compared)]
        text = [
            f"The networks of {len(compared.shown())} cells with the teacher "
            f"{compared.teacher_label}, one seed each, measured on the test set."
        ]
        diagnosed = _diagnosed(runs)
    if images:
        sections.append(Section("Pictures", text=text, images=images))
    if diagnosed:
        sections.append(diagnosed)
    sections.append(Section("All runs", tables=[_all_runs(frame)]))
    sections.append(again(story["command"] or None, story["versions"]))
    return page.Page("Sweep", story["title"], _lead(frame, story), sections)


def representatives(frame, runs_dir):
    """Returns the runs that stand for a sweep: those of its commonest teacher, of one seed each.

    They are `FinishedRun`s. Those on hard labels are among them where they learned from the same
    labels. Raises ValueError where a run of the frame is not in `runs_dir`.
    """
    done = frame[(frame["error"] == "") & (frame["run"] != "")]
    first = done.drop_duplicates(["row", "column"])
    opened, dataset = [], None
    for name in dict.fromkeys(first["run"]):
        opened.append(open_run(name, runs_dir, dataset=dataset))
        dataset = opened[-1].dataset
    taught = [run.settings.teachers for run in opened if run.settings.teachers]
    if not taught:
        return opened
    common = max(dict.fromkeys(taught), key=taught.count)
    chosen = [run for run in opened if run.settings.teachers == common]
    noises = {run.settings.noise for run in chosen}
    return [
        run
        for run in opened
        if run in chosen or (not run.settings.teachers and run.settings.noise in noises)
    ]


def _lead(frame, story):
    held = sum(claim["outcome"] == "held" for claim in story["claims"])
    runs = f"{(frame['error'] == '').sum()} of {len(frame)} runs are finished"
    if not story["claims"]:
        return f"{runs}."
    return f"{runs}; {held} of {len(story['claims'])} claims held."


def _facts(frame, story):
    seeds = ", ".join(map(str, sorted(set(frame["seed"]))))
    spent = frame.drop_duplicates("run")["seconds"].sum()
    return [
        ("Cells", str(len(frame[["row", "column"]].drop_duplicates()))),
        ("Runs", str(len(frame))),
        ("Seeds", seeds),
        ("Time of training", f"{spent:,.0f} s"),
        ("Runs directory", story["runs_dir"]),
    ]


def _results(frame, story):
    """A table a measure: rows and columns of the sweep, mean ± standard deviation."""
    tables = []
    for value, heading in story["measures"].items():
        rows = [
            [*cell, numbers["mean"], numbers["std"], int(numbers["n"])]
            for cell, numbers in summarize(frame, value).iterrows()
        ]
        kind = PERCENT if heading.endswith("(%)") else NUMBER
        columns = [("row", TEXT), ("column", TEXT), ("mean", kind)]
        columns += [("standard deviation", kind), ("n", INTEGER)]
        if story["paper"] and value == "test_accuracy":
            columns.append(("paper", PERCENT))
            published = {(row, column): percent / 100 for row, column, percent in story["paper"]}
            rows = [[*row, published.get((row[0], row[1]))] for row in rows]
        tables.append(Table(f"{heading}, over seeds", columns, rows))
    return tables


def _claim(claim):
    text = claim["claim"]
    if claim["n"] and claim["mean"] is not None:
        is_accuracy = claim["value"] == "test_accuracy"
        factor, unit = (100, " points") if is_accuracy else (1, "")
        # Adding 0.0 turns -0.00 into +0.00.
        text += f": {round(factor * claim['mean'], 2) + 0.0:+.2f}"
        if claim["half_width"] is not None:
            text += f" ± {factor * claim['half_width']:.2f}"
        text += f"{unit} (95% interval), n = {claim['n']}"
    return claim["outcome"], text


def _figure(directory, frame, story):
    means = summarize(frame).dropna(subset="mean")["mean"]
    cells = ", ".join(f"{row} {column} {100 * mean:.1f}%" for (row, column), mean in means.items())
    alt = f"Means of the test accuracy over the seeds: {cells}."
    return page.Image(story["title"], alt, page.data_uri((directory / "figure.png").read_bytes()))


def _diagnosed(runs):
    """The section on what is not as it should be, or None where no run has a teacher."""
    taught = [run for run in runs if run.teachers][:MOST_DIAGNOSED]
    if not taught:
        return None
    found, fine, total = [], 0, 0
    for run in taught:
        findings = diagnosis.diagnose(run)
        wrong = [finding for finding in findings if finding.status != diagnosis.OK]
        fine, total = fine + len(findings) - len(wrong), total + len(findings)
        if wrong:
            found.append((f"{run.settings.model} {run.settings.objective}", wrong))
    text = (
        f"Of {total} checks of {len(taught)} students in the pictures, by logitkd diagnose, "
        f"{fine} are ok{'; the others:' if found else '.'}"
    )
    return Section("Diagnosis", text=[text], findings=found)


def _all_runs(frame):
    columns = [
        (name, kind)
        for name, kind in _RUNS
        if any(value not in ("", 0) for value in frame[name]) and not frame[name].isna().all()
    ]
    rows = [
        [None if row[name] == "" else row[name] for name, _ in columns]
        for row in frame.to_dict("records")
    ]
    headings = [(name.replace("_", " "), kind) for name, kind in columns]
    return Table("Every run; failed ones have no numbers", headings, rows)
