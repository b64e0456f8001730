"""The pages in a real browser: nothing is loaded, tables sort, pictures have their texts."""

import pytest

KINDS = ("run", "sweep", "search")
CELLS = (
    "[...document.querySelectorAll('{table} tbody tr')].map(row => row.cells[{column}].innerText)"
)


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
