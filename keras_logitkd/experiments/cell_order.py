"""In which order cells run: teachers before their students, several at the same time."""

import concurrent.futures
import dataclasses


@dataclasses.dataclass(frozen=True)
class Failure:
    """What became of a cell that has no result; the message is one line for people."""

    message: str


def in_order(cells):
    """Returns all cells that have to run, each once: teachers first, on which others wait."""
    cells, ordered = list(cells), {}

    def add(cell):
        for teacher in cell.teacher_cells:
            add(teacher)
        ordered.setdefault(cell)

    for cell in cells:
        for teacher in cell.teacher_cells:
            add(teacher)
    for cell in cells:
        add(cell)
    return list(ordered)


def run_all(cells, run, jobs, report=None):
    """Runs cells and their teachers, up to `jobs` at a time.

    Args:
        cells: iterable of `Cell`.
        run: function from a cell to its result, a dict, or a `Failure`.
        jobs: how many run at the same time, in threads; with 1 everything runs in this one.
        report: function of (done, total, cell, outcome). Defaults to None.

    Returns:
        Dict of every cell, teachers too, to its outcome.
    """
    waiting, outcomes = in_order(cells), {}
    total = len(waiting)

    def finish(cell, outcome):
        outcomes[cell] = outcome
        if report:
            report(len(outcomes), total, cell, outcome)

    if jobs == 1:
        for cell in waiting:
            finish(cell, _blocked(cell, outcomes) or run(cell))
        return outcomes

    threads = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        _run_in_threads(threads, jobs, waiting, run, outcomes, finish)
    except BaseException:
        # Does not wait for cells that run: whoever gave `run` ends their processes.
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    threads.shutdown()
    return outcomes


def _run_in_threads(threads, jobs, waiting, run, outcomes, finish):
    running = {}
    while waiting or running:
        for cell in [cell for cell in waiting if _is_ready(cell, outcomes)]:
            if blocked := _blocked(cell, outcomes):
                finish(cell, blocked)
            elif len(running) < jobs:
                running[threads.submit(run, cell)] = cell
            else:
                continue
            waiting.remove(cell)
        done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
        for future in done:
            finish(running.pop(future), future.result())


def _is_ready(cell, outcomes):
    return all(teacher in outcomes for teacher in cell.teacher_cells)


def _blocked(cell, outcomes):
    """The failure of a cell whose teacher failed, or None."""
    for teacher in cell.teacher_cells:
        if isinstance(outcomes[teacher], Failure):
            return Failure(f"its teacher failed ({teacher.label}): {outcomes[teacher].message}")
    return None
