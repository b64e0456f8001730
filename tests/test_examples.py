"""The code of docs/classifiers.md, and the examples that it has the numbers of."""

import importlib
import pathlib
import re

import pytest

DOCS = pathlib.Path(__file__).parents[1] / "docs"
EXAMPLES = sorted(path.stem for path in (DOCS / "examples").glob("*.py"))
EXAMPLES.remove("comparison")


def test_the_code_of_the_page_runs():
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS / "classifiers.md").read_text(), re.DOTALL)
    names = {}
    exec(block, names)  # noqa: S102
    assert names["distiller"].check_kind(1) == "sigmoid"


def test_the_page_has_every_example():
    assert EXAMPLES == ["binary", "multi_label", "segmentation", "sequences", "tabular"]
    page = (DOCS / "classifiers.md").read_text()
    assert all(f"`{name}`" in page for name in EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "examples")
    found = importlib.import_module(name).run(epochs=2, seeds=range(1))
    assert len(found["test"]["labels"]) == len(found["test"]["distilled"]) == 1
    assert 0 <= found["test"]["distilled"][0] <= 1
    assert 0.05 < found["teacher"] <= 1
