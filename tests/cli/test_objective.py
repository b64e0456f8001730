"""The text of an objective, from `--loss` and its short forms."""

import click
import pytest

from keras_logitkd.cli import objective, registry


def given(*typed):
    """The options of `logitkd distill` as typed, checked."""
    command = registry.find("distill").load()
    arguments = ["--student", "wrn-10-1", *typed]
    options = command.make_context("distill", arguments, obj=arguments).params
    objective.check(options)
    return options


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ((), "mse"),
        (("--loss", "kl"), "kl:4"),
        (("--loss", "kl:3"), "kl:3"),
        (("--loss", "kl:3.0"), "kl:3"),
        (("--loss", "kl:Infinity"), "kl:inf"),
        (("--loss", "kl", "--tau", "3"), "kl:3"),
        (("--loss", "ttm", "--tau", "0.5"), "ttm:0.5"),
        (("--loss", "bkl:2"), "bkl:2"),
        (("--loss", "kl:8..2@20"), "kl:8..2@20"),
        (("--loss", "kl", "--tau", "8..2@20"), "kl:8..2@20"),
        (("--loss", "kl:3,scale=squared"), "kl:3,scale=squared"),
        (("--loss", "kl:scale=squared", "--tau", "3"), "kl:3,scale=squared"),
        (("--loss", "kl,scale=squared", "--tau", "3"), "kl:3,scale=squared"),
        (("--loss", "kl:3@0,mse@4"), "kl:3@0,mse@4"),
        (("--loss", "kl:3@0, mse@4"), "kl:3@0,mse@4"),
        (("--loss", "sequential"), "kl:4@0,mse@5"),
        (("--loss", "sequential", "--tau", "3", "--switch-epoch", "4"), "kl:3@0,mse@4"),
        (("--loss", "sequential", "--stages", "kl:3@0, mse@4"), "kl:3@0,mse@4"),
        (("--loss", "mse+at:weight=500"), "mse+at:weight=500"),
        (("--loss", "kl:3+at"), "kl:3+at"),
    ],
)
def test_text_of_what_is_typed(typed, text):
    assert objective.text_of(given(*typed), epochs=10) == text


@pytest.mark.parametrize(
    ("typed", "part"),
    [
        (("--loss", "kl:3", "--tau", "3"), "kl:3 has one"),
        (("--loss", "kl:8..2", "--tau", "3"), "kl:8..2 has one"),
        (("--loss", "kl:3,scale=squared", "--tau", "3"), "kl:3,scale=squared has one"),
        (("--loss", "kl:3@0,mse@4", "--tau", "3"), "kl:3@0,mse@4 has one"),
        (("--loss", "mse", "--tau", "3"), "mse has none"),
        (("--loss", "mse+at", "--tau", "3"), "write kl:3+..."),
        (("--loss", "kl:3", "--switch-epoch", "4"), "'--switch-epoch' goes with"),
        (("--loss", "kl:3", "--stages", "kl:3@0"), "that of '--loss' itself"),
        (
            (
                "--loss",
                "kl:-1",
            ),
            "[0, inf]",
        ),
        (
            (
                "--loss",
                "kl:three",
            ),
            "'three' is not a number in [0, inf]",
        ),
    ],
)
def test_what_excludes_each_other_is_refused(typed, part):
    with pytest.raises(click.UsageError) as refused:
        given(*typed)
    assert part in refused.value.format_message()


def test_stages_must_begin_within_the_epochs():
    with pytest.raises(ValueError, match="number of epochs, 10"):
        objective.text_of(given("--loss", "kl:3@0,mse@10"), epochs=10)


def test_help_names_every_logit_loss():
    assert objective.forms() == "mse, kl:T, bkl:T, ttm:T"
