"""The settings of a run: everything that its result depends on."""

import dataclasses
import re
from typing import ClassVar

from keras_logitkd.data import specs
from keras_logitkd.features.objective import alpha_text
from keras_logitkd.model_specs import name_of
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.storage import hashing
from keras_logitkd.storage.schema import from_json, to_json

# Say where things were found; they make no other run.
_RECORDS = ("data_dir", "teacher", "devices", "unlabelled")
# A setting that says what something is, the settings that are then records, and those that are
# where one of two configs is from before there was this setting.
_BY_CONTENT = {
    "train_fingerprint": (("dataset", "fingerprint"), ("dataset", "train_fingerprint")),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings(Cell):
    """A cell of which everything is known, on its data: the content of config.json.

    Arguments that are not named here are those of a `Cell`. A field that is added later changes no
    name of a run while it has its default, see `storage.schema`.

    Args:
        dataset: dataset as the catalog takes it.
        teachers: identities of the teachers: names of their runs, or file hashes. Defaults to
            none, which is training on hard labels.
        alpha: weight of the distillation loss, a number or the text of a schedule. Defaults to 0.
        fingerprint: of the dataset's content: other images under the same name are another run.
        train_fingerprint: of the part that is trained on or held out, for a dataset that is named
            by its path: path and test part are then for the record, so that a copy of it, and one
            with another test part, is the same run. Defaults to None: `fingerprint` counts.
        view_seed: of the views. Defaults to 0, whatever `seed` is.
        logit_dtype: in which the teachers' logits are stored. Defaults to `"float32"`.
        teacher: the teachers as they were asked for, for the record.
        data_dir: where datasets are, for the record.
        batch_norm_parts: into how many parts, each normalized by itself, devices cut a batch.
            Defaults to 1: one device, or synchronized batch normalization.
        devices: what it is trained on, for the record. Defaults to None: what there is.
        unlabelled: dataset of images without labels that are learnt from beside the others, for the
            record. Defaults to None: there are none.
        unlabelled_fingerprint: of these images. Defaults to None.
        model_fingerprint: digest of what `model` names beside this package and Keras: of a file or
            a function's source. Defaults to None: it names nothing else.
    """

    ALWAYS: ClassVar = (
        *("model", "dataset", "recipe", "fingerprint", "seed", "teachers", "loss", "alpha"),
        *("views", "view_seed", "logit_dtype", "noise", "teacher", "data_dir"),
    )

    model: str
    dataset: str
    recipe: Recipe
    teachers: tuple[str, ...] = ()
    alpha: float | str = 0.0
    fingerprint: str | None = None
    view_seed: int = 0
    logit_dtype: str = "float32"
    teacher: str | None = None
    data_dir: str | None = None
    batch_norm_parts: int = 1
    devices: str | None = None
    model_fingerprint: str | None = None
    train_fingerprint: str | None = None
    unlabelled: str | None = None
    unlabelled_fingerprint: str | None = None

    def __post_init__(self):
        """Judges nothing again: what was trained can be looked at in any version."""

    @property
    def kind(self):
        """`"distill"`, or `"train"` on hard labels."""
        return "distill" if self.teachers else "train"

    @property
    def objective(self):
        """A short name of what is minimised, `"ce"` on hard labels."""
        if not self.teachers:
            return "ce"
        return self.loss if self.alpha == 1 else f"{self.loss}+a{alpha_text(self.alpha)}"

    @property
    def title(self):
        """What is trained by what, in short, for people."""
        return f"{name_of(self.model)} {self.objective}"

    def to_config(self):
        """Returns the settings as JSON types, the content of config.json."""
        return {"kind": self.kind, **to_json(self)}

    @classmethod
    def from_config(cls, config):
        """Returns the settings that `to_config` wrote; ValueError names a field that is wrong."""
        fields = {name: value for name, value in config.items() if name != "kind"}
        return from_json(cls, fields, "config.json")

    def are_of(self, dataset):
        """Whether a `Dataset` has the examples that the run depends on."""
        if self.train_fingerprint is not None:
            return self.train_fingerprint == dataset.train_fingerprint()
        return self.fingerprint == dataset.fingerprint()

    def default_name(self):
        """Returns the run's name where the user gives none: equal settings, equal name."""
        dataset = self.dataset.rstrip("/").split("/")[-1] if ":" in self.dataset else self.dataset
        noise = f"-{self.noise.label}" if self.noise else ""
        readable = f"{dataset}-{name_of(self.model)}-{self.objective}{noise}-s{self.seed}"
        return f"{safe_name(readable)}-{self.digest()}"

    def digest(self):
        """Returns the end of the default name, 8 hex digits of what the run is."""
        config = self.to_config()
        config["recipe"]["teacher"] = None  # the usual one; no part of this run
        return hashing.of_json(identity_of(config))[:8]


def fingerprints_of(dataset):
    """Returns the settings that say what is in a `Dataset`, a dict."""
    is_by_path = specs.kind_of(dataset.name) is not None
    return {
        "fingerprint": dataset.fingerprint(),
        "train_fingerprint": dataset.train_fingerprint() if is_by_path else None,
    }


def identity_of(config):
    """Returns what of a config makes another run, or search: the config without its records."""
    records = _records_of(config)
    emptied = {name: None for name in config if name in records & {*RunSettings.ALWAYS}}
    known = {name: value for name, value in config.items() if name not in records}
    return known | emptied | {"model": _model_of(config)}


def _records_of(*configs):
    """Names of the settings that are for the record, in the config of a run or of two compared."""
    records = {*_RECORDS}
    for name, (of_all, of_some) in _BY_CONTENT.items():
        known = [config.get(name) is not None for config in configs]
        records |= {*(of_all if all(known) else of_some if any(known) else ())}
    return records


def safe_name(text):
    """Returns a text with an underscore for what the name of a directory should not have."""
    return re.sub(r"[^A-Za-z0-9.+=-]+", "_", text).lstrip("._+=-")


def differing_settings(first, second):
    """Returns the names of the settings in which two configs differ, records apart."""
    records = _records_of(first, second)
    ours, theirs = _flat(first), _flat(second)
    names = sorted(set(ours) | set(theirs))
    return [name for name in names if name not in records and ours.get(name) != theirs.get(name)]


def _flat(config):
    recipe = config.get("recipe") or {}
    own = {name: value for name, value in config.items() if name != "recipe"}
    return {**own, "model": _model_of(config), **recipe}


def _model_of(config):
    """The model of a config, without the place of a file whose content is known."""
    return name_of(config["model"]) if config.get("model_fingerprint") else config.get("model")
