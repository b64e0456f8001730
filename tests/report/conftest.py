"""A run, a sweep and a search on tiny data, and the pages on them."""

import importlib.util
import pathlib

import pytest
import tiny_zoo

from keras_logitkd import report
from keras_logitkd.data import catalog
from keras_logitkd.experiments import table_report
from keras_logitkd.experiments.statistics import Claim
from keras_logitkd.experiments.sweep import Entry
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.runs.workspace import Workspace
from keras_logitkd.tuning import Search, SearchSpace

SCRIPT = "<script>alert(1)</script>"
RECIPE = Recipe(epochs=2, batch_size=16, learning_rate=0.05, pad=1, validation=0.2)


@pytest.fixture(scope="session")
def workspace(tiny_spec, tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    return Workspace(catalog.load(tiny_spec), RECIPE, str(place / "runs"), resume=True)


@pytest.fixture(scope="session")
def run_directory(workspace):
    """A distilled student whose network was trained on hard labels, too."""
    with tiny_zoo.in_place():
        workspace.train("wrn-10-1")
        return workspace.run(_student("kl:4", 0)).directory


@pytest.fixture(scope="session")
def sweep_directory(workspace, run_directory):
    """Two objectives over two seeds, beside hard labels; its texts hold markup."""
    entries = [
        Entry("wrn-10-1 & more", column, _student(loss, seed))
        for column, loss in (("kl:4", "kl:4"), (SCRIPT, "mse"))
        for seed in (0, 1)
    ]
    entries.append(Entry("wrn-10-1 & more", "ce", Cell("wrn-10-1", seed=0)))
    cells = [("wrn-10-1 & more", SCRIPT), ("wrn-10-1 & more", "kl:4")]
    story = table_report.Story(
        title=f"Objectives {SCRIPT}",
        what="What <b>was</b> run.",
        command=f"logitkd reproduce {SCRIPT}",
        claims=[Claim("MSE is better", *cells)],
        notes=["A note."],
    )
    output = run_directory.path.parent.parent / "results"
    with tiny_zoo.in_place():
        table_report.run(story, entries, workspace, output)
    return output


@pytest.fixture(scope="session")
def search_directory(workspace):
    space = SearchSpace(tau_choices=(0.0, float("inf")), alpha=(0.5, 1.0))
    search = Search(workspace, "wrn-10-1", "wrn-10-1", space=space, trials=3, name="search")
    with tiny_zoo.in_place():
        search.start()
        search.run()
    return search.path


@pytest.fixture(scope="session")
def pages(run_directory, sweep_directory, search_directory):
    """Dict of what to its page, a pathlib.Path."""
    directories = {
        "run": run_directory.path,
        "sweep": sweep_directory,
        "search": search_directory,
    }
    return {what: report.write_page(place) for what, place in directories.items()}


def _student(loss, seed):
    return Cell("wrn-10-1", (Cell("wrn-10-1", seed=9),), loss, seed=seed)


@pytest.fixture
def open_page():
    """Function from a file to a browser's `Tab` that shows it; needs Chromium."""
    path = pathlib.Path(__file__).with_name("browser.py")
    spec = importlib.util.spec_from_file_location("browser", path)
    browser = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(browser)
    if browser.EXECUTABLE is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with browser.Tab() as tab:

        def opened(file, **looks):
            tab.look(**{"width": 1200, **looks})
            tab.open(file)
            return tab

        yield opened
