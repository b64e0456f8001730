"""What is written about a table of runs: table.csv, report.md and figure.png in one directory.

sweep.json is there for programs: what table.csv does not say.
"""

import dataclasses
import math
import os
import pathlib

from keras_logitkd.analysis import plots
from keras_logitkd.analysis.picture import Picture
from keras_logitkd.experiments.statistics import judge, summarize, to_markdown
from keras_logitkd.experiments.sweep import check_sweep, run_checked
from keras_logitkd.runs.final_numbers import installed_versions
from keras_logitkd.storage.atomic import replacing, write_json

SWEEP_FILE = "sweep.json"
TEST_ACCURACY = {"test_accuracy": "Test accuracy (%)"}


@dataclasses.dataclass(frozen=True)
class Report:
    """What an experiment came to.

    Args:
        frame: tidy pandas frame, one row a run, see `sweep.COLUMNS`.
        summary: mean, std and n of the test accuracy of each cell, see `summarize`.
        verdicts: a `Verdict` for each claim.
        files: dict of what ("csv", "markdown", "figure", or names of pictures) to path.
    """

    frame: object
    summary: object
    verdicts: list
    files: dict


@dataclasses.dataclass(frozen=True)
class Story:
    """What there is to say beside the numbers.

    Args:
        title: of the report.
        what: sentences on what was run.
        command: how to run it again. Defaults to nothing.
        measures: dict of a column of the frame to the heading of its table; one of shares ends in
            "(%)". Defaults to the test accuracy.
        claims: list of `Claim`s to judge. Defaults to none.
        paper: dict (row, column) to published percent, where comparable. Defaults to none.
        notes: list of sentences for the end. Defaults to none.
        draw: function from (frame, summary) to a figure. Defaults to means with error bars.
        study: function from the frame, some runs of which are finished, to (the frame with more
            columns, `Picture`s that take the place of the figure). Defaults to None.
    """

    title: str
    what: str
    command: str = ""
    measures: dict = dataclasses.field(default_factory=lambda: TEST_ACCURACY)
    claims: list = dataclasses.field(default_factory=list)
    paper: dict | None = None
    notes: list = dataclasses.field(default_factory=list)
    draw: object = None
    study: object = None


def run(story, entries, workspace, output, jobs=1, progress=None):
    """Runs the cells of a table, writes the report on them, and returns the `Report`.

    Args:
        story: a `Story`.
        entries, workspace, jobs: as for `run_sweep`.
        output: directory of the files; it is created.
        progress: the `report` of `run_sweep`.

    Raises:
        ValueError: As `run_sweep` does, before anything is written.
        OSError: If the directories cannot be written, before anything is trained.
    """
    entries = check_sweep(entries, workspace, jobs)
    for directory in (workspace.runs_dir, output):
        pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    frame = run_checked(entries, workspace, jobs, progress)
    return write(story, frame, output, workspace.runs_dir)


def write(story, frame, output, runs_dir="runs"):
    """Writes a report and returns the `Report`.

    Args:
        story: a `Story`.
        frame: what `run_sweep` returned.
        output: directory, created if need be; files of an earlier report in it are replaced.
        runs_dir: where the runs of the frame are, for sweep.json. Defaults to "runs".
    """
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    frame, pictures = _pictures(story, frame)
    verdicts = [judge(claim, frame) for claim in story.claims]
    files = {"csv": output / "table.csv", "markdown": output / "report.md"}
    with replacing(files["csv"]) as partial:
        frame.to_csv(partial, index=False)
    for one in pictures:
        suffixes = (".png",) if story.study is None else (".png", ".svg")
        files[one.name] = plots.save(one.figure, output / one.name, suffixes)
    write_json(output / SWEEP_FILE, _for_programs(story, verdicts, runs_dir))
    with replacing(files["markdown"]) as partial:
        partial.write_text(_markdown(story, frame, verdicts, pictures), encoding="utf-8")
    return Report(frame, summarize(frame), verdicts, files)


def _pictures(story, frame):
    """The frame, with what a study adds to it, and the pictures of it."""
    missing = [name for name in story.measures if name not in frame.columns]
    if not frame["test_accuracy"].notna().any():
        return frame.assign(**dict.fromkeys(missing, math.nan)), []
    if story.study is not None:
        return story.study(frame)
    draw = story.draw or (lambda frame, summary: _means(story.title, frame, summary))
    return frame, [Picture("figure", story.title, story.title, draw(frame, summarize(frame)))]


def _for_programs(story, verdicts, runs_dir):
    """The content of sweep.json."""
    published = [[*cell, percent] for cell, percent in (story.paper or {}).items()]
    return {
        "title": story.title,
        "what": story.what,
        "command": story.command,
        "measures": story.measures,
        "claims": [_verdict(verdict) for verdict in verdicts],
        "paper": published,
        "notes": story.notes,
        "runs_dir": os.path.abspath(runs_dir),
        "versions": installed_versions(),
    }


def _verdict(verdict):
    difference = verdict.difference
    numbers = {"mean": difference.mean, "half_width": difference.half_width}
    return {
        "claim": verdict.claim.text,
        "value": verdict.claim.value,
        "outcome": verdict.outcome,
        "n": difference.n,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
    }


def _means(title, frame, summary):
    reference = {
        f"teacher {name}": shares[0]
        for (name, noise), shares in _teacher_accuracies(frame)
        if not noise and len(shares) == 1
    }
    return plots.bars(summary, title, reference=reference, runs=frame)


def _markdown(story, frame, verdicts, pictures):
    lines = [f"# {story.title}", "", story.what]
    if story.command:
        lines += ["", f"    {story.command}"]
    for value, heading in story.measures.items():
        published = story.paper if value == "test_accuracy" else None
        factor = 100.0 if heading.endswith("(%)") else 1.0
        table = to_markdown(summarize(frame, value), published, factor)
        lines += ["", f"## {heading}", "", table]
    lines += ["", *_teachers(frame)]
    for one in pictures:
        lines += ["", f"![{one.alt}]({one.name}.png)"]
    if verdicts:
        lines += ["", "## The paper's claims", "", *[verdict.sentence() for verdict in verdicts]]
    for note in story.notes:
        lines += ["", note]
    if len(failed := frame[frame["error"] != ""]):
        lines += ["", "## Failed", ""]
        for run in failed.itertuples():
            lines.append(f"- {run.row}, {run.column}, seed {run.seed}: {run.error}")
    return "\n".join(lines) + "\n"


def _teachers(frame):
    """A line for each teacher with its test accuracy, which is that of one run."""
    return [
        f"- teacher {teacher}{f' ({noise})' if noise else ''}: "
        f"{', '.join(f'{100 * share:.2f}%' for share in shares)} on the test set"
        for (teacher, noise), shares in _teacher_accuracies(frame)
    ]


def _teacher_accuracies(frame):
    """Pairs of (teacher, noise) and the different accuracies on the test set."""
    taught = frame[frame["teacher"] != ""].dropna(subset="teacher_test_accuracy")
    found = taught.groupby(["teacher", "noise"], sort=False)["teacher_test_accuracy"].unique()
    return found.items()
