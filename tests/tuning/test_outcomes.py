"""What a search leaves for `logitkd distill --config`."""

import pathlib

import pytest

from keras_logitkd.runs.workspace import open_workspace
from keras_logitkd.tuning import outcomes
from keras_logitkd.tuning.search import Search

NETWORK = """
import keras

def small(input_shape, num_classes):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
    return keras.Sequential(layers)
"""


@pytest.mark.usefixtures("tiny_networks")
def test_options_name_the_networks_and_sizes_of_the_search(tiny_spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("nets.py").write_text(NETWORK)
    sizes = {"student_size": 6, "teacher_size": 10}
    workspace = open_workspace(tiny_spec, "runs", **sizes)
    search = Search(workspace, "wrn-10-1", "nets.py:small,resnet-8-1", teacher_epochs=1)
    best = {"loss": "kl", "tau": "2", "alpha": 1.0}
    options = outcomes.options_of(workspace, search.settings, search.given, best)
    assert options["teacher"] == f"{tmp_path}/nets.py:small,resnet-8-1"
    assert options["teacher-epochs"] == 1
    assert (options["student-size"], options["teacher-size"]) == (6, 10)
    assert (options["loss"], options["tau"]) == ("kl", "2")
