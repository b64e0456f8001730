"""Options and commands that are not there, and what was probably meant."""

import pytest

from keras_logitkd.cli import near_misses, registry

TRAINING = ("train", "distill", "tune", "noise", "sequential", "reproduce", "cache")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("distill", "--lr", "0.1"), "--learning-rate"),
        (("distill", "--lr=0.1"), "--learning-rate"),
        (("train", "--wd", "0"), "--weight-decay"),
        (("distill", "--bs", "3"), "--batch-size"),
        (("distill", "--lr-schedule", "0.5"), "--lr-drops"),
        (("distill", "--gamma", "0.5"), "--lr-drop-factor"),
        (("distill", "--temperature", "3"), "--tau"),
        (("distill", "--batch_size", "3"), "--batch-size"),
        (("distill", "--model", "wrn-10-1"), "--student"),
        (("train", "--student", "wrn-10-1"), "--model"),
        (("train", "--arch", "wrn-10-1"), "--model"),
        (("distill", "--arch", "wrn-10-1"), "--student"),
        (("noise", "--gpus", "1"), "--devices"),
        (("distill", "--epoch", "1"), "--epochs"),
        (("distill", "--techer", "x"), "--teacher"),
        (("reproduce", "table2", "--learning-rte", "1"), "--learning-rate"),
        (("evaluate", "x", "--data", "digits"), "--dataset"),
        (("runs", "--jsno"), "--json"),
        (("destill",), "distill"),
        (("analyse", "run"), "analyze"),
        (("cache", "verfy"), "verify"),
        (("data", "lst"), "list"),
    ],
)
def test_what_was_meant_is_named(run, arguments, meant):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("logitkd: error: No such ")
    assert err.endswith(f" Did you mean {meant!r}?\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("distill", "--qqqq"), ("qqqq",), ("runs", "-q")])
def test_nothing_is_guessed_where_nothing_is_near(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2
    assert "Did you mean" not in err


def test_every_row_of_the_table_is_an_option_of_a_command():
    flags = {
        flag
        for name in TRAINING
        for parameter in registry.find(name).load().params
        for flag in parameter.opts
    }
    assert {here for here, _ in near_misses._ELSEWHERE} <= flags
