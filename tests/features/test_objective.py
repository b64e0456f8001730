"""Objectives: what a text says, and a loss that is added at run time by its row."""

import math
import subprocess
import sys
import types

import click
import keras
import numpy as np
import pytest

from keras_logitkd import losses
from keras_logitkd.analysis import drawing
from keras_logitkd.cli import parameters
from keras_logitkd.experiments.chain import chain_entries, parse_links
from keras_logitkd.features import Objective
from keras_logitkd.features.objective import of_column, order_of
from keras_logitkd.losses import registry
from keras_logitkd.tuning.space import Candidate, SearchSpace

TEACHER, STUDENT = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")


def test_names_are_read_without_keras():
    code = """
import sys
from keras_logitkd.features import Objective
print(Objective.parse("kl:3@0,mse@4+at").stages, {"keras", "tensorflow"} & set(sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "(('kl:3', 0), ('mse', 4)) set()\n", result.stderr


@pytest.mark.parametrize(
    ("text", "loss", "methods", "temperature", "label", "searched"),
    [
        ("kl:3", "kl:3", (), 3.0, "KL\nτ = 3", ("alpha",)),
        ("kl:inf", "kl:inf", (), math.inf, "KL\nτ = ∞", ("alpha",)),
        ("kl", "kl", (), 4.0, "kl", ("temperature", "alpha")),
        ("mse", "mse", (), None, "MSE", ("alpha",)),
        ("bkl:2", "bkl:2", (), 2.0, "BKL\nτ = 2", ("alpha",)),
        ("ttm", "ttm", (), 4.0, "ttm", ("temperature", "alpha")),
        ("ttm:4,weighted=true", "ttm:4,weighted=true", (), 4.0, "ttm:4,weighted=true", ("alpha",)),
        ("kl:3,scale=none", "kl:3,scale=none", (), 3.0, "kl:3,scale=none", ("alpha",)),
        ("kl:3@0,mse@2", "kl:3@0,mse@2", (), None, "kl:3@0,mse@2", ("alpha",)),
        ("kl:2+at:weight=5", "kl:2", ("at:weight=5",), 2.0, "kl:2+at:weight=5", ("alpha",)),
        ("ab:init_epochs=1", None, ("ab:init_epochs=1",), None, "ab:init_epochs=1", ()),
        (None, None, (), None, "hard labels\n(CE)", ()),
    ],
)
def test_what_a_text_says(text, loss, methods, temperature, label, searched):
    objective = Objective.parse(text)
    assert objective.text == (text or "ce")
    assert (objective.logit_loss, objective.methods) == (loss, methods)
    assert (objective.temperature, objective.label) == (temperature, label)
    assert objective.searched == searched


def test_order_and_alpha():
    names = ["ce", "kl:0", "kl:3", "kl:20", "kl:inf", "mse", "at", "kl", "teacher"]
    assert sorted(set(names), key=order_of) == names
    assert Objective.parse("kl:3", 0.9).name == Objective.parse("kl:3", 0.9).label == "kl:3+a0.9"
    assert of_column("teacher") is None


def test_what_an_objective_needs():
    needs = {
        text: [
            what for what in ("teacher", "labels", "indices") if Objective.parse(text).needs(what)
        ]
        for text in ("mse", "at", "mse+dkd", "mse+at")
    }
    assert needs == {
        "mse": [],
        "at": ["teacher", "labels"],
        "mse+dkd": ["labels"],
        "mse+at": ["teacher"],
    }
    assert Objective.parse("mse", 0.5).needs("labels")


def test_options_of_losses():
    loss = losses.get("kl:3,scale=squared")
    assert (loss.temperature, loss.scale) == (3.0, "squared")
    assert losses.get("mse:class_reduction=sum").class_reduction == "sum"
    for text, message in (
        ("kl:3,scal=none", "An option of kl must be one of scale.*Did you mean 'scale'"),
        ("kl:3,scale=x", "`scale` must be one of"),
        ("mse:3", "An option of mse must be one of class_reduction"),
    ):
        with pytest.raises(ValueError, match=message):
            Objective.parse(text).check()


class ToyLoss(losses.LogitLoss):
    """width * mean |difference|, with a switch."""

    def __init__(self, width=1.0, double=False, name="toy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.factor = width * (2 if double else 1)

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


@pytest.fixture
def toy(monkeypatch):
    module = types.ModuleType("toy_loss")
    module.ToyLoss = ToyLoss
    monkeypatch.setitem(sys.modules, "toy_loss", module)
    monkeypatch.setitem(registry.LOSSES, "toy", registry.Row("toy_loss:ToyLoss", "width", 1.0))


def test_a_loss_is_one_row(toy):
    distance = np.abs(TEACHER - STUDENT).mean()
    for text, factor in (("toy", 1), ("toy:2", 2), ("toy:2,double=true", 4)):
        assert float(losses.get(text)(TEACHER, STUDENT)) == pytest.approx(factor * distance, 1e-6)
        assert parameters.objective.convert(text, None, None) == text
        assert Candidate(text, None, 1.0) in map(
            SearchSpace(losses=(text, "mse"), points=2).read,
            SearchSpace(losses=(text, "mse"), points=2).combinations(),
        )
    assert drawing.objective("toy:2") == "TOY\nwidth = 2"
    first, entry = chain_entries(
        ("t.keras",), parse_links(["t.keras", "wrn-10-1:toy:2"])[1:], [0, 1]
    )
    assert (first.cell.loss, entry.cell.loss) == ("toy:2", "toy:2")
    for text in ("toy:x", "toy:2,duble=true"):
        with pytest.raises(ValueError, match="toy"):
            Objective.parse(text).check()
    with pytest.raises(ValueError, match="`loss` must be made of mse, kl, bkl, ttm, toy, fitnets"):
        Objective.parse("tory")


def test_what_no_loss_is_named_is_refused_by_the_command_line():
    with pytest.raises(click.UsageError, match="`loss` must be made of mse, kl"):
        parameters.objective.convert("kld", None, None)
    for text in ("kl:3", "kl:3@0,mse@2"):
        assert parameters.objective.convert(text, None, None) == text
