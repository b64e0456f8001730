"""Chains, from the words of the command line to cells."""

import pytest

from keras_logitkd.experiments.chain import Link, chain_entries, parse_links
from keras_logitkd.experiments.table_report import Story, run
from keras_logitkd.runs.inputs.teachers import Teacher
from keras_logitkd.runs.spec.cell import Cell

LARGE = Cell("wrn-28-4")
LINKS = [Link("wrn-16-4", "kl:3"), Link("wrn-16-2", "mse")]


def test_links_are_read():
    texts = ["wrn-28-4", "wrn-16-4:kl:3", "wrn-16-2:mse", "wrn-10-1:kl:3@0,mse@100"]
    last = Link("wrn-10-1", "kl:3@0,mse@100")
    assert parse_links(texts) == [Link("wrn-28-4"), *LINKS, last]
    assert parse_links(["a/b.keras,wrn-16-1", "wrn-10-1:kl"])[0] == Link("a/b.keras,wrn-16-1")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["wrn-16-2"], "at least two networks. Received: wrn-16-2"),
        (["wrn-16-2", "wrn-10-1"], "MODEL:LOSS.*Received: wrn-10-1"),
        (["wrn-16-2", "wrn-10-1:"], "MODEL:LOSS.*Received: wrn-10-1:"),
        (["wrn-16-2", ":mse"], "MODEL:LOSS.*Received: :mse"),
        (
            ["wrn-16-2:mse", "wrn-10-1:mse"],
            "first network of a chain .* no loss. Received: wrn-16-2:mse",
        ),
    ],
)
def test_links_that_are_none_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        parse_links(texts)


def test_each_network_teaches_the_next_of_its_seed():
    entries = chain_entries((LARGE,), LINKS, seeds=(0, 4), views=2)
    assert [(entry.row, entry.column) for entry in entries] == [
        ("1 wrn-28-4", "ce"),
        *[("2 wrn-16-4", "kl:3"), ("3 wrn-16-2", "mse")] * 2,
    ]
    for seed, (medium, small) in zip((0, 4), (entries[1:3], entries[3:5]), strict=True):
        assert medium.cell == Cell("wrn-16-4", (LARGE,), "kl:3", seed=seed, views=2)
        assert small.cell == Cell("wrn-16-2", (medium.cell,), "mse", seed=seed, views=2)


def test_files_begin_a_chain_without_a_row():
    entries = chain_entries(("a.keras", LARGE), LINKS[:1], seeds=(0,))
    assert [entry.row for entry in entries] == ["1 wrn-28-4", "2 wrn-16-4"]
    assert entries[1].cell.teachers == ("a.keras", LARGE)


@pytest.mark.parametrize(
    ("links", "seeds", "message"),
    [
        (LINKS, (), "`seeds` must not be empty"),
        ([Link("vgg", "mse")], (0,), "vgg"),
        ([Link("wrn-10-1", "l1")], (0,), "l1"),
        ([Link("wrn-10-1", "mse"), Link("wrn-10-1", "kl:nan")], (0,), "temperature"),
    ],
)
def test_unknown_names_are_refused(links, seeds, message):
    with pytest.raises(ValueError, match=message):
        chain_entries((LARGE,), links, seeds)


@pytest.mark.usefixtures("tiny_networks")
def test_chain_is_trained_link_by_link_and_shared_links_are_reused(workspace, tmp_path):
    teacher = Cell("wrn-10-1", recipe=workspace.recipe)
    links = [Link("resnet-8-1", "kl:3"), Link("wrn-10-1", "mse")]
    entries = chain_entries((teacher,), links, seeds=(0,))
    report = run(Story("Chain", "Three."), entries, workspace, tmp_path / "out")
    frame = report.frame.set_index("row")
    assert frame["error"].tolist() == ["", "", ""]
    first, second, third = frame.index
    # What taught a network is the network before it, with its own number.
    for before, after in ((first, second), (second, third)):
        taught_by = frame["teacher_test_accuracy"][after]
        assert taught_by == pytest.approx(frame["test_accuracy"][before])
    directory = tmp_path / "runs" / frame["run"][second]
    written = (directory / "student.keras").stat().st_mtime_ns
    built = workspace.teachers(entries[2].cell)
    assert all(isinstance(member, Teacher) for member in built)
    assert [member.identity for member in built] == [directory.name]

    shorter = run(Story("Chain", "Two."), entries[:2], workspace, tmp_path / "out")
    assert (directory / "student.keras").stat().st_mtime_ns == written
    assert shorter.frame["run"].tolist() == frame["run"].tolist()[:2]
