import json

import numpy as np
import pytest

from keras_logitkd.data.class_weights import is_canonical, read_text, weights_of
from keras_logitkd.storage.errors import DataError

NAMES = ("cat", "dog", "owl")


def written(tmp_path, name, content):
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.json", '{"owl": 0.5, "cat": 2}'),
        ("w.csv", "cat,2\nowl,0.5\n"),
        ("w.csv", "class,weight\nowl,0.5\n\ncat,2\n"),
        ("w.csv", "\ufeffcat, 2\r\nowl, 0.5\r\n"),
        ("w.tsv", "cat\t2\nowl\t.5\n"),
    ],
)
def test_files_of_every_form_say_the_same(tmp_path, name, content):
    text = read_text(written(tmp_path, name, content))
    assert text == '{"cat": 2.0, "owl": 0.5}'
    assert read_text(text) == text
    assert is_canonical(text)
    assert weights_of(text, np.zeros(3, int), NAMES) == {0: 2.0, 2: 0.5}


def test_names_with_commas_are_quoted_as_in_any_csv(tmp_path):
    assert json.loads(read_text(written(tmp_path, "w.csv", '"a, b",3\n'))) == {"a, b": 3.0}


def test_a_class_is_its_name_or_else_its_number():
    assert weights_of('{"2": 3.0}', [0], NAMES) == {2: 3.0}
    assert weights_of('{"2": 3.0}', [0], ("2", "1", "0")) == {0: 3.0}


def test_balanced_is_n_over_k_times_the_examples_of_a_class():
    labels = np.array([0] * 6 + [1] * 3 + [2] * 1)
    found = weights_of("balanced", labels, NAMES)
    assert found == pytest.approx({0: 10 / 18, 1: 10 / 9, 2: 10 / 3})
    # Their mean over the examples is 1, and each class counts the same.
    assert np.mean([found[label] for label in labels]) == pytest.approx(1)
    assert weights_of("balanced", np.array([0, 0, 2]), NAMES) == pytest.approx({0: 0.75, 2: 1.5})


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("w.json", "[1, 2]", "must be a JSON object of class to weight. Received: '\\[1, 2\\]'"),
        ("w.json", "{", "must be a JSON object of class to weight: Expecting"),
        ("w.json", "{}", "must be a JSON object of class to weight"),
        ("w.json", '{"cat": "2"}', "numbers of at least 0. Received: '2' for 'cat'"),
        ("w.json", '{"cat": true}', "numbers of at least 0. Received: True for 'cat'"),
        ("w.json", '{"cat": -1}', "numbers of at least 0. Received: -1 for 'cat'"),
        ("w.json", '{"cat": NaN}', "numbers of at least 0. Received: nan for 'cat'"),
        ("w.json", '{"cat": 1, "cat": 2}', "each class once. Received: 'cat' twice"),
        ("w.json", '{"cat": 0}', "must have a weight above 0"),
        ("w.csv", "cat,2\ncat,3\n", "each class once. Received: 'cat' twice"),
        ("w.csv", "cat,2\ndog,x\n", r"in each row. Received: \['dog', 'x'\]"),
        ("w.csv", "cat;2\n", r"in each row. Received: \['cat;2'\]"),
        ("w.csv", "class,weight\n", "in each row. Received: none"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, content, line):
    with pytest.raises(DataError, match=line):
        read_text(written(tmp_path, name, content))


def test_no_such_file_and_no_such_class():
    with pytest.raises(DataError, match=r"must be balanced, or a JSON or CSV file.*'ballanced'"):
        read_text("ballanced")
    with pytest.raises(DataError, match="numbers below 3. Received: 'owls'. The nearest is 'owl'"):
        weights_of('{"owls": 2.0}', [0], NAMES)
    with pytest.raises(DataError, match="below 3. Received: '3'"):
        weights_of('{"3": 2.0}', [0], NAMES)
    with pytest.raises(DataError, match="the name and the number of 'owl'"):
        weights_of('{"2": 2.0, "owl": 1.0}', [0], NAMES)


def test_what_a_recipe_may_have():
    assert is_canonical(None)
    assert is_canonical("balanced")
    assert not is_canonical("w.json")
    assert not is_canonical("{}")
