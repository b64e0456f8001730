"""What is on the pages, read as text and, further down, in a real browser.

There nothing is loaded, tables sort, and pictures have their texts.
"""

import configparser
import csv
import fnmatch
import html
import html.parser
import json
import pathlib
import re
import shlex

import pytest

from keras_logitkd import report
from keras_logitkd.report import commands, page
from keras_logitkd.report.page import PERCENT, TEXT, Page, Section, Table

ROOT = pathlib.Path(__file__).parents[2]
KINDS = ("run", "sweep", "search")
CELLS = (
    "[...document.querySelectorAll('{table} tbody tr')].map(row => row.cells[{column}].innerText)"
)


class Reader(html.parser.HTMLParser):
    """Collects addresses, tags and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.tags, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("what", ["run", "sweep", "search"])
def test_addresses_are_in_the_file_itself(pages, what):
    text = pages[what].read_text(encoding="utf-8")
    for address in Reader(text).addresses:
        assert address.startswith(("#", "data:"))
    assert "url(" not in text
    assert "@import" not in text


def test_run_page_has_the_numbers_of_the_run(pages, run_directory):
    text = " ".join("".join(Reader(pages["run"].read_text()).text).split())
    result = run_directory.read_result()
    for name in ("test_accuracy", "teacher_test_accuracy", "test_agreement"):
        assert f"{100 * result[name]:.2f}%" in text
    assert f"{result['parameters']:,}" in text
    for heading in ("What was run", "Result", "Training", "Pictures", "Diagnosis", "Run it again"):
        assert heading in text
    assert "The teacher's fit" in text
    assert f"tensorflow=={result['versions']['tensorflow']}" in text


def test_sweep_page_has_means_claims_and_every_run(pages, sweep_directory):
    text = " ".join("".join(Reader(pages["sweep"].read_text()).text).split())
    with (sweep_directory / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["run"] in text
    mse = [float(row["test_accuracy"]) for row in rows if "script" in row["column"]]
    assert f"{100 * sum(mse) / len(mse):.2f}%" in text
    assert "MSE is better" in text
    assert "A note." in text
    story = json.loads((sweep_directory / "sweep.json").read_text())
    assert story["claims"][0]["n"] == 2
    assert pathlib.Path(story["runs_dir"]).is_dir()


def test_search_page_has_every_trial_and_the_best(pages, search_directory):
    text = " ".join("".join(Reader(pages["search"].read_text()).text).split())
    best = json.loads((search_directory / "best.json").read_text())
    with (search_directory / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        assert f"{100 * float(row['validation_accuracy']):.2f}%" in text
    assert f"alpha {best['options']['alpha']:g}:" in text
    assert f"logitkd distill --config {search_directory / 'best.json'}" in text


@pytest.mark.usefixtures("tiny_networks")
def test_command_makes_the_same_run(pages, run_directory, workspace, monkeypatch, capsys):
    from keras_logitkd.cli import main

    code = re.search(r"<code>(logitkd distill.*?)</code>", pages["run"].read_text(), re.DOTALL)
    words = shlex.split(html.unescape(code[1]).replace("\\\n", " "))
    # The teacher of this run has another seed than one by name: it is named by its file.
    assert words[words.index("--teacher") + 1].endswith("model.keras")
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stop:
        main.main([*words[1:], "--runs-dir", str(workspace.runs_dir), "--name", "again", "--json"])
    assert stop.value.code == 0
    again = json.loads(capsys.readouterr().out)
    result = run_directory.read_result()
    assert again["test_loss"] == pytest.approx(result["test_loss"], rel=1e-5)


def test_quick_page_runs_no_network(run_directory, tmp_path, monkeypatch):
    from keras_logitkd.runs.inputs import models

    def refuse(path):
        raise AssertionError(f"{path} was loaded")

    monkeypatch.setattr(models, "load_model", refuse)
    file = report.write_page(run_directory.path, tmp_path / "quick.html", networks=False)
    text = file.read_text()
    assert "Diagnosis" not in text
    assert text.count("<img ") == 1  # the curves of metrics.csv


def test_what_cannot_be_reported_is_said(
    tmp_path, run_directory, search_directory, sweep_directory
):
    with pytest.raises(ValueError, match="Received: .*nothing"):
        report.write_page(tmp_path / "nothing")
    (tmp_path / "table.csv").write_text("row\n")
    with pytest.raises(ValueError, match="run the sweep's command again"):
        report.write_page(tmp_path)
    story = json.loads((sweep_directory / "sweep.json").read_text())
    (tmp_path / "sweep.json").write_text(json.dumps({**story, "runs_dir": "/gone"}))
    (tmp_path / "table.csv").write_text((sweep_directory / "table.csv").read_text())
    with pytest.raises(ValueError, match="were in /gone, which is not there.*--quick"):
        report.write_page(tmp_path)
    assert report.write_page(tmp_path, networks=False).is_file()
    unfinished = tmp_path / "search"
    unfinished.mkdir()
    (unfinished / "search.json").write_text((search_directory / "search.json").read_text())
    with pytest.raises(ValueError, match="is not finished"):
        report.write_page(unfinished)
    with pytest.raises(OSError, match="no-such"):
        report.write_page(run_directory.path, tmp_path / "no-such" / "a.html", networks=False)


@pytest.mark.parametrize(
    ("value", "kind", "text", "key"),
    [
        (0.98765, PERCENT, "98.77%", "0.98765"),
        (None, PERCENT, "-", ""),
        (float("nan"), PERCENT, "-", ""),
        (float("inf"), page.NUMBER, "∞", "Infinity"),
        (703284, page.INTEGER, "703,284", "703284.0"),
        (1234.56, page.SECONDS, "1,234.6", "1234.56"),
        ("kl:4", TEXT, "kl:4", "kl:4"),
    ],
)
def test_values_as_people_read_and_as_tables_sort_them(value, kind, text, key):
    assert page.shown(value, kind) == text
    assert page.sort_key(value) == key


def test_everything_is_escaped():
    evil = "<script>alert(1)</script>\"'&"
    image = page.Image(evil, evil, "data:,")
    finding = html_report_finding(evil)
    section = Section(
        "A section",
        text=[evil],
        facts=[(evil, evil)],
        tables=[Table(evil, [(evil, TEXT)], [[evil]])],
        images=[image],
        findings=[(evil, [finding])],
        claims=[(evil, evil)],
        code=[(evil, evil)],
        details=[(evil, [(evil, evil)])],
    )
    text = page.render(Page(evil, evil, evil, [section], evil))
    assert Reader(text).tags.count("script") == 1
    assert "<script>alert" not in text
    assert "".join(Reader(text).text).count("<script>alert(1)</script>") >= 18


def html_report_finding(text):
    from keras_logitkd.analysis.diagnosis import Finding

    return Finding(text, text, text, {}, text, text)


def test_equal_content_gives_equal_bytes(run_directory, tmp_path):
    files = [
        report.write_page(run_directory.path, tmp_path / f"{name}.html", networks=False)
        for name in "ab"
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_commands_of_values():
    line = commands.command_line("train", {"flip": False, "lr-drops": (0.5, 0.75), "a": "b c"})
    assert shlex.split(line.replace("\\\n", "")) == [
        *("logitkd", "train", "--no-flip", "--lr-drops", "0.5,0.75", "--a", "b c")
    ]


def test_templates_are_in_the_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["keras_logitkd.report"].split()
    folder = ROOT / "keras_logitkd" / "report"
    others = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".py"]
    others = [file.relative_to(folder) for file in others if "__pycache__" not in file.parts]
    assert len(others) == 3
    for file in others:
        assert any(fnmatch.fnmatch(str(file), pattern) for pattern in patterns)


@pytest.mark.parametrize("what", KINDS)
def test_page_loads_nothing_and_does_not_complain(pages, open_page, what):
    tab = open_page(pages[what])
    assert tab.complaints() == []
    assert tab.requests() == []
    assert tab.run("document.title").endswith("keras-logitkd")


@pytest.mark.parametrize("what", KINDS)
def test_every_picture_is_there_and_has_a_text_alternative(pages, open_page, what):
    tab = open_page(pages[what])
    images = tab.run(
        "[...document.images].map(image => [image.alt, image.complete && image.naturalWidth])"
    )
    assert len(images) >= {"run": 6, "sweep": 6, "search": 2}[what]
    assert all(len(alt) > 20 and width > 300 for alt, width in images)
    # Nobody else's words for it, either: each has a text of its own.
    assert len({alt for alt, _ in images}) == len(images)


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark"), (320, "light")])
def test_page_is_never_wider_than_the_window(pages, open_page, what, width, scheme):
    tab = open_page(pages[what], width=width, scheme=scheme)
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_click_on_a_heading_sorts(pages, open_page):
    tab = open_page(pages["sweep"])
    headings = tab.run(
        "[...document.querySelectorAll('#all-runs th')].map(heading => heading.innerText)"
    )
    column = [heading.split("\n")[0] for heading in headings].index("test accuracy")
    cells = CELLS.format(table="#all-runs", column=column)
    before = [float(text.rstrip("%")) for text in tab.run(cells)]
    button = f"document.querySelectorAll('#all-runs th button')[{column}]"
    tab.run(f"{button}.click()")
    assert [float(text.rstrip("%")) for text in tab.run(cells)] == sorted(before)
    state = f"{button}.closest('th').getAttribute('aria-sort')"
    assert tab.run(state) == "ascending"
    # By the keyboard as well: a button is one.
    tab.run(f"{button}.focus()")
    for kind in ("keyDown", "keyUp"):
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        tab.call("Input.dispatchKeyEvent", type=kind, **enter)
    assert [float(text.rstrip("%")) for text in tab.run(cells)] == sorted(before, reverse=True)
    assert tab.run(state) == "descending"
    assert tab.complaints() == []


def test_dashes_stay_last_and_infinity_is_the_largest(pages, open_page):
    tab = open_page(pages["search"])
    column, button = 3, "document.querySelectorAll('#trials th button')[3]"
    cells = CELLS.format(table="#trials", column=column)
    for reverse in (False, True):
        tab.run(f"{button}.click()")
        texts = tab.run(cells)
        known = [float(text.replace("∞", "inf")) for text in texts if text != "-"]
        assert known == sorted(known, reverse=reverse)
        assert texts == [*texts[: len(known)], *["-"] * (len(texts) - len(known))]


def test_markup_in_names_is_text(pages, open_page):
    tab = open_page(pages["sweep"])
    assert tab.run("document.querySelector('h1').innerText") == (
        "Objectives <script>alert(1)</script>"
    )
    assert tab.run("document.scripts.length") == 1
    assert tab.run("document.querySelectorAll('main b script, main td b').length") == 0
    assert "What <b>was</b> run." in tab.run("document.body.innerText")
    assert tab.told("Page.javascriptDialogOpening") == []


def test_pictures_stand_on_white_in_the_dark(pages, open_page):
    tab = open_page(pages["run"], scheme="dark")
    background = "getComputedStyle(document.querySelector('{}')).backgroundColor"
    assert tab.run(background.format("body")) == "rgb(20, 23, 27)"
    assert tab.run(background.format("img")) == "rgb(255, 255, 255)"


def test_print_hides_what_paper_cannot_use(pages, open_page, tmp_path):
    tab = open_page(pages["run"])
    tab.print(tmp_path / "run.pdf")
    assert (tmp_path / "run.pdf").read_bytes().startswith(b"%PDF")
    tab.call("Emulation.setEmulatedMedia", media="print")
    assert tab.run("getComputedStyle(document.querySelector('nav')).display") == "none"
