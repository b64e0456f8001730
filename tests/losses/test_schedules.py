"""Schedules: their numbers, their texts, and where a text is one."""

import math

import pytest

from keras_logitkd import features, losses
from keras_logitkd.analysis import drawing
from keras_logitkd.features import Objective
from keras_logitkd.features.objective import order_of
from keras_logitkd.losses import registry
from keras_logitkd.losses.schedules import Schedule


def read(text):
    return Schedule.read("tau", text)


@pytest.mark.parametrize(
    ("text", "places", "numbers"),
    [
        (3, (0, 7), (3.0, 3.0)),
        ("0.5", (0, 7), (0.5, 0.5)),
        ("8..2@4", (0, 1, 2, 4, 9), (8, 6.5, 5, 2, 2)),
        (".5..1.5@2", (0, 1, 2), (0.5, 1.0, 1.5)),
        ("1e-3..1e1@1", (0, 1), (0.001, 10)),
        ("8..2@0", (0, 1), (2, 2)),
        ("8..2@10steps", (0, 5, 10, 99), (8, 5, 2, 2)),
        ("cosine(8..2@4)", (0, 1, 2, 4, 5), (8, 8 - 6 * (1 - math.sqrt(0.5)) / 2, 5, 2, 2)),
        ("cosine(0..1@6steps)", (0, 2, 3, 6), (0, 0.25, 0.5, 1)),
    ],
)
def test_numbers(text, places, numbers):
    schedule = read(text)
    assert [schedule.at(place) for place in places] == pytest.approx(numbers, rel=1e-12)
    assert read(schedule.text) == schedule
    assert schedule.by_steps == str(text).rstrip(")").endswith("steps")


def test_without_a_length_it_is_there_in_the_last_epoch():
    for text, half in (("8..2", 5), ("cosine(8..2)", 5)):
        assert [read(text).at(epoch, 5) for epoch in (0, 2, 4)] == pytest.approx([8, half, 2])
        assert read(text).text == text
        assert read(text).over(5).text == text.replace("2", "2@4")
        with pytest.raises(ValueError, match=r"FIRST\.\.LAST@EPOCHS, where their number is not"):
            read(text).at(1)
    assert read("8..2").at(0, 1) == 8
    assert [read(each).over(5).text for each in ("8..2@9", "8..2@9steps")] == [
        "8..2@9",
        "8..2@9steps",
    ]


def test_a_text_has_every_digit():
    schedule = Schedule(1 / 3, 2 / 3, epochs=7)
    assert read(schedule.text) == schedule
    assert Schedule(0.1, 0.7, 7).text == "0.1..0.7@7"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        *((bad, "`tau` must be a number, or") for bad in (None, True, "x", [3], "8..x", "8..2@x")),
        *((bad, "`tau` must be a number, or") for bad in ("8..2@3step", "cosine(8..2", "8..2@3)")),
        ("8..inf@2", "`tau` must move between finite numbers"),
        ("nan..2@2", "`tau` must move between finite numbers"),
    ],
)
def test_what_is_no_schedule_is_one_line(value, message):
    with pytest.raises(ValueError, match=message) as error:
        read(value)
    assert str(error.value).endswith(f"Received: tau={value!r}")


@pytest.mark.parametrize("fields", [{"epochs": 3}, {"last": 2.0, "epochs": 3, "steps": 3}])
def test_what_a_schedule_cannot_be(fields):
    with pytest.raises(ValueError, match="^A schedule .*Received: Schedule"):
        Schedule(1.0, **fields)


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("kl:8..2@20", []),
        ("kl:8..2@20,scale=squared", []),
        ("kl:cosine(8..2@20steps)", []),
        ("kl:8..2@20@0,mse@100", [("kl:8..2@20", 0), ("mse", 100)]),
        ("kl:8..2@0,mse@100", [("kl:8..2", 0), ("mse", 100)]),
        ("kl:cosine(8..2@9),scale=squared@0,mse@9", [("kl:cosine(8..2@9),scale=squared", 0)]),
        ("kl:3@0", [("kl:3", 0)]),
    ],
)
def test_a_range_alone_is_no_list_of_stages(text, stages):
    assert registry.stages_in(text)[: max(len(stages), 1)] == stages
    losses.get(text)


def test_lengths_are_filled_in_where_the_epochs_are_known():
    for text, expected in (
        ("kl:8..2", "kl:8..2@9"),
        ("kl:8..2,scale=squared", "kl:8..2@9,scale=squared"),
        ("kl:8..2@3", "kl:8..2@3"),
        ("kl:3", "kl:3"),
        ("mse", "mse"),
        ("kl:8..2@0,ttm:4..1@6", "kl:8..2@5@0,ttm:4..1@3@6"),
    ):
        assert registry.over(text, 10) == expected
    (stage,) = Objective.parse("kl:8..2", "0..1").training(10)
    assert (stage.logit_loss, stage.alpha) == ("kl:8..2@9", "0..1@9")
    assert stage.needs_labels
    (stage,) = Objective.parse("kl:8..2", 1.0).training()
    assert (stage.logit_loss, stage.alpha) == ("kl:8..2", 1.0)


def test_an_objective_that_moves():
    objective = Objective.parse("kl:8..2@20", "0.1..0.9@20")
    assert objective.name == "kl:8..2@20+a0.1..0.9@20"
    plain = Objective.parse("kl:8..2@20")
    assert (plain.stages, plain.temperature, plain.argument) == ((), None, "8..2@20")
    assert plain.searched == ("alpha",)
    assert drawing.objective("kl:8..2@20") == "KL\nτ = 8..2@20"
    names = ["kl:3", "kl:8..2@20", "kl:inf", "mse"]
    assert sorted({*names}, key=order_of) == names
    colours = [style["color"] for style in drawing.line_styles([*names, "kl:4..2"])]
    assert len({*map(str, colours)}) == 5
    with pytest.raises(ValueError, match=r"`alpha` must be a number in \[0, 1\]"):
        Objective.parse("kl:3", "0..2@3").check()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kl:8..0@20", "`temperature` must be positive where it moves"),
        ("kl:8..x@20", "`temperature` must be a number, or FIRST"),
        ("mse:8..2@20", "`distillation_loss` must be one of|An option of mse"),
        ("kl:8..2@20,mse@100", "begin at epoch 0 and rise"),
        ("kl:3@0,kl:8..2@5steps@3", "`stages` after the first cannot go by steps"),
        ("kl:3@x", "`distillation_loss` must be one of"),
    ],
)
def test_terms_that_are_none_are_one_line(text, message):
    with pytest.raises(ValueError, match=message) as error:
        losses.get(text)
    assert "\n" not in str(error.value)


def test_weights_of_methods_go_by_steps_and_cosine():
    method = features.get("at:weight=cosine(0..8@4steps)")
    method.set_epoch(3, 10)
    assert float(method.weight) == 0
    method.set_steps(2)
    assert float(method.weight) == pytest.approx(4)
    assert method.get_config()["weight"] == "cosine(0..8@4steps)"
    by_epoch = features.get("at:weight=0..8@4")
    by_epoch.set_steps(2)
    assert float(by_epoch.weight) == 0
