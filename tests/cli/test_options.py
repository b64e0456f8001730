"""Options of the commands that train: their groups in the help, and `--set`."""

import dataclasses

import click
import pytest

from keras_logitkd.cli import grouping, recipe_options, registry
from keras_logitkd.runs.spec.recipes import RECIPES, Recipe

TRAINING = ("train", "distill", "tune", "sequential", "noise", "reproduce", "cache")
TWO_SCREENS = 96


def help_of(name, *typed):
    """What `logitkd NAME --help` prints on 80 columns."""
    command = registry.find(name).load()
    context = click.Context(
        command, info_name=name, terminal_width=80, show_default=True, obj=[name, *typed, "--help"]
    )
    return command.get_help(context)


def parsed(*arguments):
    """The values of the options of `logitkd distill`, which is not run."""
    command = registry.find("distill").load()
    arguments = ["--student", "wrn-10-1", *arguments]
    return command.make_context("distill", arguments, obj=arguments).params


@pytest.mark.parametrize("name", TRAINING)
def test_help_fits_two_screens(name):
    lines = help_of(name).splitlines()
    assert len(lines) <= TWO_SCREENS
    assert max(map(len, lines)) <= 80


def test_options_of_distill_stand_in_their_groups():
    text = help_of("distill")
    titles = [line.rstrip(":") for line in text.splitlines() if line[:1] not in (" ", "")][1:]
    assert [title.partition(" (")[0] for title in titles] == [
        *("What is distilled", "Data", "Recipe", "Teacher's logits", "Run", "Devices", "Output")
    ]
    sections = dict(zip(titles, text.split("\n\n")[2:], strict=True))
    assert "--logit-dtype" in sections["Teacher's logits"]
    assert "--sync-batch-norm" in sections["Devices"]
    assert "--tau" in sections["What is distilled"]


@pytest.mark.parametrize("name", TRAINING)
def test_every_option_is_in_a_group_and_says_what_it_is(name):
    for option in registry.find(name).load().params:
        if isinstance(option, click.Option) and not option.hidden:
            assert isinstance(option, grouping.Option), option.name
            assert option.group in grouping.GROUPS
            is_output = option.name in ("as_json", "debug", "output")
            assert (option.group == grouping.OUTPUT) == is_output, f"{option.name} has no group="
            assert option.help


@pytest.mark.parametrize("dataset", ["digits", "cifar100", "imagenet2012"])
def test_defaults_of_the_help_are_those_of_the_dataset(dataset):
    typed = () if dataset == "digits" else ("--dataset", dataset)
    text = help_of("distill", *typed)
    lines = [line.split() for line in text.splitlines()]
    recipe = RECIPES[dataset]
    shown = {
        line[0]: line[-1].rstrip("]") for line in lines if line and line[-2:-1] == ["[default:"]
    }
    assert float(shown["--epochs"]) == recipe.epochs
    assert float(shown["--batch-size"]) == recipe.batch_size
    assert float(shown["--weight-decay"]) == recipe.weight_decay
    assert shown["--flip"] == ("on" if recipe.flip else "off")
    assert float(shown["--pad"]) == recipe.pad
    assert f"[default: {recipe.teacher}]" in " ".join(text.split())


def test_help_claims_no_defaults_where_images_decide():
    text = help_of("distill", "--dataset=folder:photos")
    assert "Recipe (defaults: by the dataset, see --dry-run)" in text
    (line,) = [line for line in text.splitlines() if "--epochs" in line]
    assert "default" not in line


def test_set_takes_every_field_of_the_recipe():
    texts = {int: "3", float: "0.25", bool: "no", tuple: "0.25,0.5", str: "balanced"}
    values = {int: 3, float: 0.25, bool: False, tuple: (0.25, 0.5), str: "balanced"}
    kinds = {
        tuple[float, ...]: tuple,
        tuple[float, ...] | None: tuple,
        int | None: int,
        float | None: float,
        str | None: str,  # class weights
    }
    fields = [field for field in dataclasses.fields(Recipe) if field.name != "teacher"]
    for field in fields:
        kind = kinds.get(field.type, field.type)
        for name in (field.name, field.name.replace("_", "-")):
            given = parsed("--set", f"{name}={texts[kind]}")
            assert recipe_options.given_fields(given) == {field.name: values[kind]}


def test_fields_that_left_the_help_are_options_still():
    given = parsed("--no-nesterov", "--lr-drop-factor", "0.2", "--std", "2,3")
    wanted = {"nesterov": False, "lr_drop_factor": 0.2, "std": (2.0, 3.0)}
    assert recipe_options.given_fields(given) == wanted
    assert "nesterov /" not in help_of("distill")


def test_set_and_an_option_may_say_the_same():
    given = parsed("--epochs", "3", "--set", "epochs=3", "--set", "epochs=3")
    assert recipe_options.given_fields(given) == {"epochs": 3}


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        (("--epochs", "4", "--set", "epochs=3"), ("'--set epochs'", "3", "4")),
        (("--set", "epochs=4", "--set", "epochs=3"), ("'--set epochs'", "3", "4")),
        (("--no-flip", "--set", "flip=true"), ("'--set flip'", "True", "False")),
        (("--lr-drops", "0.5", "--set", "lr-drops=0.1,0.2"), ("0.1,0.2", "0.5")),
        (("--set", "nesterv=no"), ("'nesterv=no'", "Did you mean 'nesterov'?")),
        (("--set", "epochs"), ("'epochs'", "FIELD=VALUE")),
        (("--set", "epochs=x"), ("`epochs`", "'x'", "integer")),
        (("--set", "flip=maybe"), ("`flip`", "true or false", "'maybe'")),
        (("--set", "mean=a"), ("`mean`", "'a'", "list of numbers")),
    ],
)
def test_what_set_refuses(typed, parts):
    with pytest.raises(click.UsageError) as refused:
        parsed(*typed)
    for part in parts:
        assert part in refused.value.format_message()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("logitkd di", ["distill", "diagnose"]),
        ("logitkd distill --sync", ["--sync-batch-norm"]),
        ("logitkd distill --student wrn-16-", ["wrn-16-1", "wrn-16-2", "wrn-16-4"]),
        ("logitkd distill --loss se", ["sequential"]),
        ("logitkd noise --set nes", ["nesterov="]),
        ("logitkd reproduce table", ["table2", "table3", "table4", "table5", "table6"]),
    ],
)
def test_shells_complete(run, monkeypatch, typed, completed):
    monkeypatch.setenv("_LOGITKD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    code, out, _ = run()
    assert code == 0
    assert out.splitlines() == [f"plain,{word}" for word in completed]
