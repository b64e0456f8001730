"""Tables of files and labels: what is read, and the lines on what is wrong."""

import logging

import numpy as np
import pytest

from keras_logitkd.data import catalog
from keras_logitkd.storage.errors import DataError

ROWS = (
    ("Train/äpfel/a.png", "apple", "Train"),
    ("Train/猫/rgba.png", "cat", "training"),
    ("Train/äpfel/b.webp", "apple", "TRAIN"),
    ("Valid/äpfel/1.bmp", "apple", "valid"),
    ("testing/äpfel/1.bmp", "apple", "Testing"),
    ("testing/猫/1.bmp", "cat", "test"),
)


@pytest.fixture
def write(messy, tmp_path):
    """Writes a table beside the folder's parts and returns its specification."""
    root, _ = messy

    def write(header="file,label,split", rows=ROWS, delimiter=",", name="table.csv", bom=""):
        lines = [header.replace(",", delimiter), *(delimiter.join(row) for row in rows)]
        (root / name).write_text(bom + "\n".join(lines) + "\n", encoding="utf-8")
        return f"csv:{root / name}"

    return write


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"header": " Filename ,CLASS,set", "delimiter": "\t", "name": "table.tsv"},
        {"header": "image,class,part", "delimiter": ";", "bom": "\ufeff"},
    ],
)
def test_a_table_is_read_in_its_order(messy, write, options):
    _, expected = messy
    data = catalog.load(write(**options))
    assert data.class_names == ("apple", "cat")
    assert data.train.labels.tolist() == [0, 1, 0, 0]
    assert data.validation.tolist() == [3]
    assert data.test.labels.tolist() == [0, 1]
    for split, rows in ((data.train, ROWS[:4]), (data.test, ROWS[4:])):
        for index, (file, _, _) in enumerate(rows):
            np.testing.assert_array_equal(split.images.load(index), expected[file])


def test_numbers_as_labels_are_sorted_as_numbers(messy, write):
    _, expected = messy
    rows = [(file, str(number)) for number, file in enumerate(list(expected)[:12])]
    data = catalog.load(write("path,label", [*rows[::-1], ("Valid/猫/1.bmp", "0")]))
    assert data.class_names == tuple(map(str, range(12)))


def test_without_parts_some_are_held_out_and_other_columns_are_said(messy, write, caplog):
    caplog.set_level(logging.INFO, "keras_logitkd")
    _, expected = messy
    rows = [(file, file.split("/")[1], "1") for file in expected]
    data = catalog.load(write("file,label,width", rows))
    assert (len(data.train), data.validation, len(data.test)) == (14, None, 3)
    assert any("columns that are not read: width" in text for text in caplog.messages)
    assert any("has no test part" in text for text in caplog.messages)


def test_the_fingerprint_is_that_of_the_same_folder(messy, write):
    root, expected = messy
    rows = [(file, file.split("/")[1], file.split("/")[0]) for file in sorted(expected)]
    assert catalog.load(write(rows=rows)).fingerprint() == (
        catalog.load(f"folder:{root}").fingerprint()
    )


A, B = ROWS[0], ROWS[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"header": ",".join(A)}, "must name its columns in the first line: file|path|filename"),
        ({"header": "file,name"}, "label|class is missing. Received: file, name"),
        ({"header": "file,path,label"}, "one column of the file. Received: file and path"),
        ({"rows": [A, ("", "cat", "train")]}, "line 3 must have a file and a label"),
        ({"rows": [A, (B[0],)]}, "line 3 must have a file and a label"),
        ({"rows": [A, (*B[:2], "dev")]}, "line 3 must name a part: train, training, val"),
        ({"rows": [A, (*B[:2], "")]}, "line 3 must name a part"),
        ({"rows": [A, B, A]}, "must name every file once. Twice: Train/äpfel/a.png"),
        ({"rows": [A, B, ("no.png", "cat", "test")]}, "1 of 3 files are not there, looked for in"),
        ({"rows": [A, (B[0], "cat", "test")]}, "every class must have a row of the train part"),
        ({"rows": [A]}, "at least two classes. Received: 1"),
        ({"rows": []}, "at least two classes. Received: 0"),
        ({"rows": [A, ("licences/one.txt", "cat", "train")]}, "cannot read 1 of 2 images: licen"),
    ],
)
def test_what_is_wrong_is_one_line(write, options, message):
    with pytest.raises(DataError) as caught:
        catalog.load(write(**options))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.csv").write_bytes("file,label\nä,b\n".encode("latin-1"))
    for path, message in (("no.csv", "No such file"), ("latin.csv", "not UTF-8"), ("", "Is a dir")):
        with pytest.raises(DataError, match=message):
            catalog.load(f"csv:{tmp_path / path}")
    with pytest.raises(DataError, match="needs a path: csv:PATH"):
        catalog.load("csv:")
