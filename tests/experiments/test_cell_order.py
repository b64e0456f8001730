"""The order in which cells run, without running any."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_logitkd.experiments.cell_order import Failure, in_order, run_all
from keras_logitkd.runs.spec.cell import Cell

LARGE = Cell("wrn-16-2")
MEDIUM = Cell("wrn-16-1", (LARGE,), "kl:3")
SMALL = Cell("wrn-10-1", (MEDIUM,), "mse")
ALONE = Cell("wrn-10-1")


@st.composite
def families(draw):
    """Some cells, each taught by some of those before it or by none."""
    cells = []
    for seed in range(draw(st.integers(1, 7))):
        taught_by = draw(st.lists(st.sampled_from(cells), unique=True, max_size=3)) if cells else []
        loss = "mse" if taught_by else None
        cells.append(Cell("wrn-10-1", tuple(taught_by), loss, seed=seed))
    return draw(st.permutations(cells))


def names(cells):
    return [cell.label for cell in cells]


def test_teachers_come_first_and_everything_once():
    assert in_order([SMALL, ALONE, MEDIUM, SMALL]) == [LARGE, MEDIUM, SMALL, ALONE]


def test_equal_cells_are_one():
    other = Cell("wrn-10-1", (Cell("wrn-16-1", (Cell("wrn-16-2"),), "kl:3"),), "mse")
    assert in_order([SMALL, other]) == [LARGE, MEDIUM, SMALL]


def test_files_are_not_run():
    assert in_order([Cell("wrn-10-1", ("a.keras", LARGE), "mse")])[0] == LARGE
    assert len(in_order([Cell("wrn-10-1", ("a.keras",), "mse")])) == 1


@pytest.mark.parametrize("jobs", [1, 3])
def test_failure_takes_only_those_with_it_that_it_teaches(jobs):
    ran, reported = [], []

    def run(cell):
        ran.append(cell)
        return Failure("no luck") if cell == LARGE else {"seed": cell.seed}

    def report(done, total, cell, outcome):
        reported.append((done, total, cell, outcome))

    outcomes = run_all([SMALL, ALONE], run, jobs, report)
    assert set(ran) == {LARGE, ALONE}
    assert outcomes[ALONE] == {"seed": 0}
    assert outcomes[LARGE] == Failure("no luck")
    assert outcomes[MEDIUM] == Failure(f"its teacher failed ({LARGE.label}): no luck")
    assert outcomes[SMALL].message.startswith(f"its teacher failed ({MEDIUM.label}): its teacher")
    assert [each[:2] for each in reported] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {cell: outcome for _, _, cell, outcome in reported} == outcomes


@settings(max_examples=40)
@given(families(), st.integers(1, 4), st.data())
def test_no_cell_runs_before_its_teachers_or_twice(cells, jobs, data):
    failing = set(data.draw(st.lists(st.sampled_from(cells), max_size=2, unique=True)))
    lock, started, ended, running, most = threading.Lock(), [], set(), set(), []

    def run(cell):
        with lock:
            missing = [t for t in cell.teacher_cells if t not in ended]
            started.append((cell, missing))
            running.add(cell)
            most.append(len(running))
        time.sleep(0.0005 * (cell.seed % 3))
        with lock:
            running.discard(cell)
            ended.add(cell)
        return Failure("asked to") if cell in failing else {"seed": cell.seed}

    outcomes = run_all(cells, run, jobs)
    assert all(missing == [] for _, missing in started)
    assert len({cell for cell, _ in started}) == len(started)
    assert max(most) <= jobs
    assert set(outcomes) == set(cells)

    def is_lost(cell):
        return cell in failing or any(is_lost(teacher) for teacher in cell.teacher_cells)

    for cell in cells:
        assert isinstance(outcomes[cell], Failure) == is_lost(cell)
        was_run = cell in {each for each, _ in started}
        assert was_run == (not any(is_lost(teacher) for teacher in cell.teacher_cells))


def test_jobs_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=20)  # Breaks unless two cells are there together.

    def run(cell):
        meeting.wait()
        return {}

    assert run_all([LARGE, ALONE], run, jobs=2) == {LARGE: {}, ALONE: {}}


@pytest.mark.parametrize("jobs", [1, 2])
def test_interruption_is_passed_on_and_starts_nothing_more(jobs):
    ran = []

    def run(cell):
        ran.append(cell)
        raise KeyboardInterrupt

    chain = [Cell("wrn-10-1", (LARGE,), "mse", seed=seed) for seed in range(5)]
    with pytest.raises(KeyboardInterrupt):
        run_all(chain, run, jobs)
    assert names(ran) == [LARGE.label]
