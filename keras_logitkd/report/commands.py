"""The command that makes a run again, from its settings."""

import dataclasses
import shlex

from keras_logitkd.data import catalog
from keras_logitkd.features import Objective
from keras_logitkd.losses import grammar
from keras_logitkd.runs.directory.run_directory import RunDirectory
from keras_logitkd.runs.inputs import teachers
from keras_logitkd.runs.spec.recipes import recipe_for
from keras_logitkd.runs.spec.settings import RunSettings


def command_of_run(run):
    """Returns the `logitkd train` or `logitkd distill` that makes a run again.

    Args:
        run: a `FinishedRun`.

    Returns:
        One line, or None where no single command has its settings: labels that were made wrong.
        A teacher that cannot be trained by its name alone is named by its file.
    """
    settings, runs_dir = run.settings, run.directory.path.parent
    if settings.noise is not None:
        return None
    options = {"dataset": settings.dataset, "data-dir": settings.data_dir}
    options |= {"seed": settings.seed or None, "views": settings.views}
    options |= recipe_options(settings.recipe, run.dataset) | {"runs-dir": runs_dir}
    if (name := run.directory.name) != settings.default_name():
        options["name"] = name
    if settings.kind == "train":
        return command_line("train", {"model": settings.model, **options})
    dtype = settings.logit_dtype
    taught = {"student": settings.model, **teacher_options(settings, run.directory, run.dataset)}
    taught |= loss_options(settings.loss)
    taught |= {"alpha": None if settings.alpha == 1 else settings.alpha}
    taught |= {"logit-dtype": None if dtype == "float32" else dtype}
    return command_line("distill", taught | options)


def command_of_search(directory, search):
    """Returns the `logitkd tune` of a search.

    Args:
        directory: its `RunDirectory`.
        search: the content of search.json.
    """
    names = {field.name for field in dataclasses.fields(RunSettings)} & set(search)
    plain = {"loss": None, "alpha": 1.0, "kind": "distill"}
    settings = RunSettings.from_config({name: search[name] for name in names} | plain)
    dataset = catalog.load(settings.dataset, settings.data_dir)
    axis = search["tau_range"]
    options = {"student": settings.model, **teacher_options(settings, directory, dataset)}
    options |= {
        "search": search["method"],
        "trials": search["trials"],
        "objective": search.get("objective"),
        "losses": ",".join(search["losses"]),
        "tau-range": "none" if axis is None else _numbers(axis),
        "tau-choices": ",".join(search["tau_choices"]) or None,
        "alpha-range": _numbers(search["alpha"]) if isinstance(search["alpha"], list) else None,
        "grid-points": search["points"],
        "dataset": settings.dataset,
        "data-dir": settings.data_dir,
        "seed": settings.seed or None,
        "views": settings.views,
        "logit-dtype": None if settings.logit_dtype == "float32" else settings.logit_dtype,
    }
    options |= recipe_options(settings.recipe, dataset)
    place = {"runs-dir": directory.path.parent, "name": directory.name}
    return command_line("tune", options | place)


def command_line(command, options):
    """Returns a command with its options, one a line, as a shell takes it.

    Args:
        command: of `logitkd`.
        options: dict of long names to values; those that are None are left out.
    """
    lines = [f"logitkd {command}"]
    for name, value in options.items():
        if isinstance(value, bool):
            lines.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            text = _numbers(value) if isinstance(value, tuple) else str(value)
            lines.append(shlex.join([f"--{name}", text]))
    return " \\\n    ".join(lines)


def recipe_options(recipe, dataset):
    """Returns the fields in which a recipe differs from the dataset's own, as options."""
    usual = recipe_for(dataset.name, dataset.image_shape)
    return {
        field.name.replace("_", "-"): getattr(recipe, field.name)
        for field in dataclasses.fields(recipe)
        if field.name != "teacher" and getattr(recipe, field.name) != getattr(usual, field.name)
    }


def loss_options(loss):
    """Returns the text of an objective as options."""
    objective = Objective.parse(loss)
    if objective.stages and not objective.methods:
        return {"loss": "sequential", "stages": loss}
    if objective.argument is None or objective.temperature is None:
        return {"loss": loss}
    return {"loss": grammar.name_of(loss), "tau": objective.argument}


def teacher_options(settings, directory, dataset):
    """Returns the teachers of a run as options: by name where that trains the same, else by file.

    Args:
        settings: a `RunSettings` with teachers.
        directory: of the run; teachers that are runs lie beside it.
        dataset: the `Dataset`.
    """
    labels = settings.teacher.split(",") if settings.teacher else settings.teachers
    parts, epochs = [], set()
    for label, identity in zip(labels, settings.teachers, strict=True):
        if identity.startswith(teachers.FILE_IDENTITY):
            parts.append((label, None))
            continue
        run = RunDirectory(directory.path.parent, identity)
        config = run.read_config()
        own = config and RunSettings.from_config(config)
        if own and _is_usual(own, settings, dataset):
            parts.append((own.model, run))
            epochs.add(own.recipe.epochs)
        else:
            parts.append((str(run.model_file(own.kind if own else "train")), None))
    if len(epochs) > 1:  # --teacher-epochs is one for all
        epochs = set()
        parts = [(run.model_file("train") if run else name, None) for name, run in parts]
    usual = recipe_for(dataset.name, dataset.image_shape).epochs
    given = epochs - {usual}
    names = ",".join(str(name) for name, _ in parts)
    return {"teacher": names, "teacher-epochs": min(given) if given else None}


def _is_usual(teacher, student, dataset):
    """Whether `--teacher NAME` would train this teacher, given its epochs."""
    usual = teachers.usual_recipe(dataset, student.recipe, teacher.recipe.epochs)
    plain = (teacher.kind, teacher.seed, teacher.noise, teacher.views)
    same = dataclasses.replace(teacher.recipe, teacher=usual.teacher) == usual
    return same and plain == ("train", 0, None, None)


def _numbers(values):
    return ",".join(f"{value:g}" for value in values)
