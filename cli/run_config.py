"""A run's config.json as the options of the command that makes the same run again."""

import json
import pathlib

import click
from click.core import ParameterSource

_KEY = f"{__name__}.expected"
# Settings that options say by the same names: of both commands, and of distill alone.
_SHARED = ("dataset", "data_dir", "seed", "views")
_TAUGHT = ("loss", "alpha", "logit_dtype", "unlabelled")
# Options that say where and how, and make no other run.
_PLACES = {
    *("runs_dir", "cache_dir", "cache_limit", "no_cache", "name", "resume", "checkpoint_steps"),
    *("as_json", "baseline", "data_dir", "dry_run"),
}


def is_one(content):
    """Whether the content of a file is that of a run's config.json."""
    return isinstance(content, dict) and {"kind", "recipe", "fingerprint"} <= set(content)


def options_of(content, path, command):
    """Returns the options that make the run again in any directory, by their long names.

    Args:
        content: of config.json.
        path: of the file. The configs of teachers that are runs are looked up beside its run.
        command: name of the command, `"train"` or `"distill"`.

    Raises:
        ValueError: If it is damaged, of a run of another command, or says what no option says.
    """
    from keras_logitkd.runs.spec.settings import RunSettings

    settings = RunSettings.from_config(content)
    if settings.noise is not None:
        raise ValueError(f"no option says `noise`, {settings.noise.label}: see `logitkd noise`")
    if settings.view_seed:
        raise ValueError(f"no option says `view_seed`. Received: {settings.view_seed}")
    if settings.kind != command:
        raise ValueError(f"a run of `logitkd {settings.kind}`, not of `logitkd {command}`")
    recipe = {name: value for name, value in content["recipe"].items() if name != "teacher"}
    shared = {name: getattr(settings, name) for name in _SHARED} | recipe | _devices(settings)
    if command == "train":
        return {"model": settings.model, "size": settings.size, **shared}
    teachers = _teachers(settings, pathlib.Path(path).resolve().parent.parent)
    taught = {name: getattr(settings, name) for name in _TAUGHT}
    return {
        "student": settings.model,
        "student-size": settings.size,
        **teachers,
        **taught,
        **shared,
    }


def _devices(settings):
    """Devices that normalised parts of a batch apart; others make the same run."""
    if settings.batch_norm_parts == 1:
        return {}
    *workers, spec, _ = (settings.devices or "").split(", ")
    return {"devices": spec, **({"workers": workers[0].split()[0]} if workers else {})}


def _teachers(settings, runs_dir):
    """Teachers by specification, with epochs and size of those that are runs of ours."""
    labels = (settings.teacher or "").split(",")
    if len(labels) != len(settings.teachers):
        raise ValueError(f"`teacher` must name {len(settings.teachers)}. Received: {labels}")
    specs, said = [], []
    for label, identity in zip(labels, settings.teachers, strict=True):
        config = _teacher_config(identity, runs_dir)
        specs.append(config.model if config else label)
        if config:
            said.append({"teacher-epochs": config.recipe.epochs, **_size(config, settings)})
    if any(each != said[0] for each in said):
        raise ValueError("no option says teachers of different epochs or sizes")
    return {"teacher": ",".join(specs), **(said[0] if said else {})}


def _teacher_config(identity, runs_dir):
    """The settings of a teacher that is a run beside this one, or None."""
    from keras_logitkd.runs.directory.run_directory import RunDirectory
    from keras_logitkd.runs.spec.settings import RunSettings

    if ":" in identity:  # the hash of a file
        return None
    content = RunDirectory(runs_dir, identity).read_config()
    settings = content and RunSettings.from_config(content)
    if settings and settings.kind == "distill":
        raise ValueError(f"its teacher {identity} was taught itself: see `logitkd sequential`")
    return settings


def _size(teacher, student):
    crop = teacher.recipe.resized_crop
    size = teacher.size or (crop if crop != student.recipe.resized_crop else None)
    return {"teacher-size": size} if size else {}


def remember(context, content, path):
    """Keeps what `check` compares with."""
    context.meta[_KEY] = (content, path)


def check(workspace, cell):
    """Raises click.UsageError where a cell is not the run of the config that made its options.

    That is so where something else has changed, such as the data or a teacher's file. What is typed
    beside `--config` is wanted, so nothing is compared then.
    """
    from keras_logitkd.runs.spec.settings import differing_settings

    context = click.get_current_context()
    content, path = context.meta.get(_KEY, (None, None))
    sources = {name: context.get_parameter_source(name) for name in context.params}
    typed = {name for name, source in sources.items() if source is ParameterSource.COMMANDLINE}
    if content is None or typed - _PLACES:
        return
    made = workspace.settings(cell, workspace.teachers(cell)).to_config()
    names = differing_settings(json.loads(json.dumps(made)), content)
    if names:
        raise click.UsageError(
            f"{path} cannot be made again from here: {', '.join(names)} would be other than in it. "
            "Give the options themselves to train with what is there"
        )
