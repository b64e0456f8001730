import dataclasses
import json
import subprocess
import sys

import pytest

from keras_logitkd.runs.directory import description as descriptions
from keras_logitkd.runs.directory.description import (
    ModelDescription,
    Origin,
    Preparation,
    read_description,
    run_of,
)
from keras_logitkd.storage import hashing

DESCRIPTION = ModelDescription(
    format=1,
    file="student.keras",
    fingerprint="0" * 64,
    input_shape=(96, 96, 3),
    dtype="uint8",
    pixel_range=(0, 255),
    colours="RGB",
    preparation=Preparation(256, (224, 224), (96, 96)),
    output="softmax logits",
    class_names=("kitten", "Übung", "犬"),
    made_by=Origin("photos-s0", "12345678", {"keras": "3.0"}),
)


@pytest.fixture
def described(tmp_path):
    """A file, its description beside it."""
    file = tmp_path / "student.keras"
    file.write_bytes(b"weights")
    fingerprint = hashing.model_fingerprint(file)
    descriptions.write(tmp_path, dataclasses.replace(DESCRIPTION, fingerprint=fingerprint))
    return file


def test_description_round_trips_through_its_file(described):
    found = read_description(described)
    assert dataclasses.replace(found, fingerprint="0" * 64) == DESCRIPTION
    assert read_description(described.parent) == found


def test_no_description_is_none(tmp_path, described):
    (tmp_path / "elsewhere").mkdir()
    assert read_description(tmp_path / "elsewhere") is None
    assert read_description(tmp_path / "another.keras") is None


def test_a_network_that_was_replaced_is_not_described(described):
    described.write_bytes(b"other weights")
    with pytest.raises(ValueError, match=r"must describe student\.keras as it is now.*Remove it"):
        read_description(described)
    described.unlink()
    with pytest.raises(ValueError, match="or no file"):
        read_description(described.parent)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"format": 2}, "format up to 1: update keras-logitkd. Received: format=2"),
        ({"class_names": ["one"]}, "at least two classes"),
        ({"class_names": "ab"}, "`class_names` must be a list"),
        ({"input_shape": [96, 96]}, "`input_shape` must be 3 positive sizes"),
        ({"input_shape": [96, 0, 3]}, "`input_shape` must be 3 positive sizes"),
        ({"input_shape": [32, 32, 3]}, r"`size` must be that of the input, \(32, 32\)"),
        ({"colours": "BGR"}, "`colours` must be those of 3 channels"),
        ({"pixel_range": [255, 0]}, "`pixel_range` must be a lowest and a highest"),
        ({"preparation": {"short_side": 256}}, "must have the field 'crop'"),
        ({"made_by": {"run": "r", "settings": "s", "versions": []}}, "`versions` must be an obj"),
        ({"colors": "RGB"}, "unknown field 'colors'. The nearest is 'colours'"),
    ],
)
def test_what_is_wrong_with_a_description_is_said(described, change, line):
    place = described.with_name("model.json")
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises(ValueError, match=line):
        read_description(described)


def test_reading_needs_no_tensorflow(described):
    code = (
        "import sys\n"
        "import keras_logitkd\n"
        f"print(keras_logitkd.read_description({str(described)!r}).class_names[2])\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "犬\nset()\n", done.stderr


def test_the_run_of_a_file_is_that_of_its_directory(described):
    assert run_of(described) is None
    described.with_name("config.json").write_text('{"kind": "distill"}')
    assert run_of(described).path == described.parent
    assert run_of(described.with_name("other.keras")) is None
