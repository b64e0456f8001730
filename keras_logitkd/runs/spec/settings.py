"""The settings of a run: everything that its result depends on."""

import dataclasses
import json
import re

from keras_logitkd.data.noise import LabelNoise
from keras_logitkd.runs.spec.recipes import Recipe
from keras_logitkd.storage import hashing
from keras_logitkd.storage.schema import checked

# Say where things were found; they make no other run.
_RECORDS = ("data_dir", "teacher", "devices")
# Left out where they have their defaults: runs from before there were these settings are found.
_LATER = {"batch_norm_parts": 1, "devices": None}


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Settings of one run.

    Args:
        model: zoo name of the network that is trained.
        dataset: dataset as the catalog takes it.
        recipe: a `Recipe`.
        fingerprint: of the dataset's content: other images under the same name are another run.
        seed: of the initial weights and the order. Defaults to 0.
        teachers: identities of the teachers: names of their runs, or file hashes. Defaults to
            none, which is training on hard labels.
        loss: objective as `features.registry` has it. Defaults to None: hard labels.
        alpha: weight of the distillation loss. Defaults to 0.
        views: epoch e uses view e mod `views`. Defaults to None: a new view in every epoch.
        view_seed: of the views. Defaults to 0, whatever `seed` is.
        logit_dtype: in which the teachers' logits are stored. Defaults to `"float32"`.
        noise: a `LabelNoise` of the training labels. Defaults to None: as they are.
        teacher: the teachers as they were asked for, for the record.
        data_dir: where datasets are, for the record.
        batch_norm_parts: into how many parts, each normalized by itself, devices cut a batch.
            Defaults to 1: one device, or synchronized batch normalization.
        devices: what it is trained on, for the record. Defaults to None: what there is.
    """

    model: str
    dataset: str
    recipe: Recipe
    fingerprint: str | None = None
    seed: int = 0
    teachers: tuple[str, ...] = ()
    loss: str | None = None
    alpha: float = 0.0
    views: int | None = None
    view_seed: int = 0
    logit_dtype: str = "float32"
    noise: LabelNoise | None = None
    teacher: str | None = None
    data_dir: str | None = None
    batch_norm_parts: int = 1
    devices: str | None = None

    @property
    def kind(self):
        """`"distill"`, or `"train"` on hard labels."""
        return "distill" if self.teachers else "train"

    @property
    def objective(self):
        """A short name of what is minimised, `"ce"` on hard labels."""
        if not self.teachers:
            return "ce"
        return self.loss if self.alpha == 1 else f"{self.loss}+a{self.alpha:g}"

    def to_config(self):
        """Returns the settings as JSON types, the content of config.json."""
        config = {"kind": self.kind, **json.loads(json.dumps(dataclasses.asdict(self)))}
        for name, default in _LATER.items():
            if config[name] == default:
                del config[name]
        return {**config, "noise": self.noise.to_config() if self.noise else None}

    @classmethod
    def from_config(cls, config):
        """Returns the settings that `to_config` wrote; ValueError names a field that is wrong."""
        config = {name: value for name, value in config.items() if name != "kind"}
        fields = checked(cls, config, "config.json")
        noise = fields.get("noise")
        return cls(
            **{
                **fields,
                "recipe": Recipe.from_config(fields["recipe"]),
                "noise": LabelNoise.from_config(noise) if noise else None,
            }
        )

    def default_name(self):
        """Returns the run's name where the user gives none: equal settings, equal name."""
        identity = self.to_config()
        identity |= {name: None for name in _RECORDS if name not in _LATER}
        identity.pop("devices", None)
        identity["recipe"]["teacher"] = None  # the usual one; no part of this run
        dataset = self.dataset.rstrip("/").split("/")[-1] if ":" in self.dataset else self.dataset
        noise = f"-{self.noise.label}" if self.noise else ""
        readable = f"{dataset}-{self.model}-{self.objective}{noise}-s{self.seed}"
        safe = re.sub(r"[^A-Za-z0-9.+=-]+", "_", readable).lstrip("._+=-")
        return f"{safe}-{hashing.of_json(identity)[:8]}"


def differing_settings(first, second):
    """Returns the names of the settings in which two configs differ, where data is apart."""
    ours, theirs = _flat(first), _flat(second)
    names = sorted(set(ours) | set(theirs))
    return [name for name in names if name not in _RECORDS and ours.get(name) != theirs.get(name)]


def _flat(config):
    recipe = config.get("recipe") or {}
    return {**{name: value for name, value in config.items() if name != "recipe"}, **recipe}
