"""The settings of a run: everything that its result depends on."""

import dataclasses
import re
from typing import ClassVar

from keras_logitkd.features.objective import alpha_text
from keras_logitkd.model_specs import name_of
from keras_logitkd.runs.spec.cell import Cell
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.storage import hashing
from keras_logitkd.storage.schema import from_json, to_json

# Say where things were found; they make no other run.
_RECORDS = ("data_dir", "teacher", "devices")


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
        view_seed: of the views. Defaults to 0, whatever `seed` is.
        logit_dtype: in which the teachers' logits are stored. Defaults to `"float32"`.
        teacher: the teachers as they were asked for, for the record.
        data_dir: where datasets are, for the record.
        batch_norm_parts: into how many parts, each normalized by itself, devices cut a batch.
            Defaults to 1: one device, or synchronized batch normalization.
        devices: what it is trained on, for the record. Defaults to None: what there is.
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

    def default_name(self):
        """Returns the run's name where the user gives none: equal settings, equal name."""
        identity = dataclasses.replace(self, **dict.fromkeys(_RECORDS)).to_config()
        identity["recipe"]["teacher"] = None  # the usual one; no part of this run
        identity["model"] = _model_of(identity)
        dataset = self.dataset.rstrip("/").split("/")[-1] if ":" in self.dataset else self.dataset
        noise = f"-{self.noise.label}" if self.noise else ""
        readable = f"{dataset}-{name_of(self.model)}-{self.objective}{noise}-s{self.seed}"
        return f"{safe_name(readable)}-{hashing.of_json(identity)[:8]}"


def safe_name(text):
    """Returns a text with an underscore for what the name of a directory should not have."""
    return re.sub(r"[^A-Za-z0-9.+=-]+", "_", text).lstrip("._+=-")


def differing_settings(first, second):
    """Returns the names of the settings in which two configs differ, where data is apart."""
    ours, theirs = _flat(first), _flat(second)
    names = sorted(set(ours) | set(theirs))
    return [name for name in names if name not in _RECORDS and ours.get(name) != theirs.get(name)]


def _flat(config):
    recipe = config.get("recipe") or {}
    own = {name: value for name, value in config.items() if name != "recipe"}
    return {**own, "model": _model_of(config), **recipe}


def _model_of(config):
    """The model of a config, without the place of a file whose content is known."""
    return name_of(config["model"]) if config.get("model_fingerprint") else config.get("model")
