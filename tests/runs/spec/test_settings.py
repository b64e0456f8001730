import dataclasses
import json
import re

import pytest

from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.runs.spec.recipes import RECIPES
from keras_logitkd.runs.spec.settings import RunSettings, differing_settings, identity_of

SETTINGS = RunSettings(
    model="wrn-10-1",
    dataset="cifar100",
    recipe=RECIPES["cifar100"],
    teachers=("cifar100-wrn-28-4",),
    loss="kl:inf",
    alpha=0.9,
)
NOISES = [
    LabelNoise("symmetric", 0.4),
    LabelNoise("symmetric", 0.4, seed=1),
    LabelNoise("symmetric", 0.8),
    LabelNoise("pair", 0.4),
    LabelNoise("matrix", matrix=((0.5, 0.5), (0.0, 1.0))),
]


@pytest.mark.parametrize("noise", NOISES)
def test_config_with_noise_round_trips(noise):
    settings = dataclasses.replace(SETTINGS, noise=noise)
    config = json.loads(json.dumps(settings.to_config()))
    assert RunSettings.from_config(config) == settings
    assert differing_settings(SETTINGS.to_config(), config) == ["noise"]
    assert noise.kind in settings.default_name()


def test_config_from_before_there_was_noise_is_read():
    config = SETTINGS.to_config()
    del config["noise"], config["recipe"]["examples"]
    assert RunSettings.from_config(config) == SETTINGS
    assert differing_settings(SETTINGS.to_config(), config) == []


def test_config_round_trip_through_json():
    config = json.loads(json.dumps(SETTINGS.to_config()))
    assert RunSettings.from_config(config) == SETTINGS
    assert config["kind"] == "distill"


def test_alpha_in_a_config_is_a_number_or_a_text():
    config = SETTINGS.to_config()
    moving = RunSettings.from_config({**config, "alpha": "0.2..0.8@5"})
    assert moving.objective.endswith("+a0.2..0.8@5")
    with pytest.raises(ValueError, match="`alpha` must be a number or a text. Received: True"):
        RunSettings.from_config({**config, "alpha": True})


def test_default_name_depends_on_every_setting_but_where_things_are():
    name = SETTINGS.default_name()
    elsewhere = dataclasses.replace(SETTINGS, data_dir="/elsewhere", teacher="a.keras")
    assert elsewhere.default_name() == name
    changed = [
        {"seed": 1},
        {"alpha": 0.8},
        {"alpha": "0.2..0.8@5"},
        {"loss": "mse"},
        {"views": 4},
        {"fingerprint": "0123"},
        {"view_seed": 1},
        {"teachers": ()},
        {"recipe": SETTINGS.recipe.replace(epochs=3)},
        {"recipe": SETTINGS.recipe.replace(examples=500)},
        *({"noise": noise} for noise in NOISES),
    ]
    names = {dataclasses.replace(SETTINGS, **fields).default_name() for fields in changed}
    assert len(names | {name}) == 1 + len(changed)


def test_what_is_trained_on_makes_path_and_whole_data_a_record():
    known = dataclasses.replace(SETTINGS, dataset="npz:/a/x.npz", train_fingerprint="t")
    moved = dataclasses.replace(known, dataset="npz:/b/x.npz", fingerprint="other tests")
    assert moved.default_name() == known.default_name()
    assert identity_of(moved.to_config()) == identity_of(known.to_config())
    assert differing_settings(known.to_config(), moved.to_config()) == []
    other = dataclasses.replace(known, train_fingerprint="u")
    assert other.digest() != known.digest()
    assert differing_settings(known.to_config(), other.to_config()) == ["train_fingerprint"]


def test_a_config_of_before_is_compared_by_all_of_its_data():
    known = dataclasses.replace(
        SETTINGS, dataset="npz:/a/x.npz", fingerprint="f", train_fingerprint="t"
    )
    former = dataclasses.replace(known, dataset="npz:/b/y.npz", train_fingerprint=None).to_config()
    assert differing_settings(known.to_config(), former) == []
    other = dataclasses.replace(known, fingerprint="g").to_config()
    assert differing_settings(other, former) == ["fingerprint"]
    assert "train_fingerprint" not in former


def test_default_name_of_any_dataset_is_no_path():
    settings = dataclasses.replace(SETTINGS, dataset="folder:/some where/ünsafe/")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._,+=-]*", settings.default_name())


def test_differing_settings_are_named():
    other = dataclasses.replace(
        SETTINGS, seed=3, data_dir="x", recipe=SETTINGS.recipe.replace(epochs=3)
    )
    names = differing_settings(SETTINGS.to_config(), other.to_config())
    assert names == ["epochs", "seed"]
