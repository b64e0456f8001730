"""The command that makes a run again, from its settings."""

import dataclasses
import shlex

from keras_logitkd import model_specs
from keras_logitkd.data import catalog
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
    options |= recipe_options(settings, run.dataset) | {"runs-dir": runs_dir}
    if (name := run.directory.name) != settings.default_name():
        options["name"] = name
    if settings.kind == "train":
        return command_line("train", {"model": settings.model, "size": settings.size, **options})
    dtype = settings.logit_dtype
    taught = {"student": settings.model, "student-size": settings.size}
    taught |= teacher_options(settings, run.directory, run.dataset)
    taught |= {"loss": settings.loss, "alpha": None if settings.alpha == 1 else settings.alpha}
    taught |= {"logit-dtype": None if dtype == "float32" else dtype}
    taught |= {"unlabelled": settings.unlabelled}
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
    options = {"student": settings.model, "student-size": settings.size}
    options |= teacher_options(settings, directory, dataset)
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
    options |= recipe_options(settings, dataset)
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


def recipe_options(settings, dataset):
    """Returns the fields in which a run's recipe differs from the dataset's own, as options."""
    recipe, usual = settings.recipe, recipe_for(dataset, model_specs.is_pretrained(settings.model))
    return {
        field.name.replace("_", "-"): getattr(recipe, field.name)
        for field in dataclasses.fields(recipe)
        if field.name != "teacher" and getattr(recipe, field.name) != getattr(usual, field.name)
    }


def teacher_options(settings, directory, dataset):
    """Returns the teachers of a run as options: by name where that trains the same, else by file.

    Args:
        settings: a `RunSettings` with teachers.
        directory: of the run; teachers that are runs lie beside it.
        dataset: the `Dataset`.
    """
    labels = settings.teacher.split(",") if settings.teacher else settings.teachers
    parts, told = [], set()
    for label, identity in zip(labels, settings.teachers, strict=True):
        if identity.startswith(teachers.FILE_IDENTITY):
            parts.append((label, None))
            continue
        run = RunDirectory(directory.path.parent, identity)
        config = run.read_config()
        own = config and RunSettings.from_config(config)
        if own and _is_usual(own, settings, dataset):
            parts.append((own.model, run))
            told.add(_epochs_and_size(own, settings, dataset))
        else:
            parts.append((str(run.model_file(own.kind if own else "train")), None))
    if len(told) > 1:  # each option is one for all
        told = set()
        parts = [(run.model_file("train") if run else name, None) for name, run in parts]
    epochs, size = told.pop() if told else (None, None)
    names = ",".join(str(name) for name, _ in parts)
    return {"teacher": names, "teacher-epochs": epochs, "teacher-size": size}


def _is_usual(teacher, student, dataset):
    """Whether `--teacher NAME` would train this teacher, given its epochs and size."""
    usual = _usual_teacher(teacher, student, dataset, teacher.recipe.epochs)
    plain = (teacher.kind, teacher.seed, teacher.noise, teacher.views)
    own = {"teacher": usual.teacher, "resized_crop": usual.resized_crop}
    same = dataclasses.replace(teacher.recipe, **own) == usual
    return same and plain == ("train", 0, None, None)


def _usual_teacher(teacher, student, dataset, epochs=None):
    pretrained = model_specs.is_pretrained(teacher.model)
    return teachers.usual_recipe(dataset, student.recipe, epochs, pretrained)


def _epochs_and_size(teacher, student, dataset):
    """What a usual teacher is told besides its name; None where that is the default."""
    usual, recipe = _usual_teacher(teacher, student, dataset), teacher.recipe
    size = teacher.size
    if recipe.resized_crop != usual.resized_crop:
        size = recipe.resized_crop
    return (None if recipe.epochs == usual.epochs else recipe.epochs), size


def _numbers(values):
    return ",".join(f"{value:g}" for value in values)
