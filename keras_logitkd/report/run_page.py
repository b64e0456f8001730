"""The page on a run."""

import dataclasses

from keras_logitkd.analysis import analysis, diagnosis
from keras_logitkd.analysis.diagnosis.summary import baseline_of
from keras_logitkd.analysis.finished_run import open_run
from keras_logitkd.analysis.histories import history
from keras_logitkd.analysis.picture import pictures
from keras_logitkd.features.objective import alpha_text
from keras_logitkd.report import page
from keras_logitkd.report.commands import command_of_run
from keras_logitkd.report.page import INTEGER, NUMBER, PERCENT, SECONDS, TEXT, Section, Table

_NETWORK = [("network", TEXT), ("model", TEXT), ("objective", TEXT)]
_RESULT = {  # of result.json
    "test_accuracy": ("test accuracy", PERCENT),
    "test_balanced_accuracy": ("balanced accuracy", PERCENT),
    "test_loss": ("test loss", NUMBER),
    "test_ece": ("ECE", NUMBER),
    "test_agreement": ("agreement", PERCENT),
    "parameters": ("parameters", INTEGER),
    "seconds": ("seconds", SECONDS),
}


def run_page(run, cache=None, networks=True):
    """Returns the `Page` on a finished run.

    Args:
        run: a `FinishedRun`.
        cache: the `LogitCache` where stored logits are looked for. Defaults to None: nowhere.
        networks: as for `write_page`.
    """
    settings, result = run.settings, run.result
    beside = baseline_of(run)
    sections = [
        Section("What was run", facts=_facts(run), details=[_recipe(settings)]),
        Section("Result", tables=[_result_table(run, beside)], details=[_numbers(result)]),
        Section("Training", images=[page.picture_image(history(run.rows(), "Training by epoch"))]),
    ]
    if networks:
        compared = analysis.analyze([run, *([open_run(beside.path)] if beside else [])])
        drawn = [one for one in pictures(compared) if one.name != "training_curves"]
        images = [page.picture_image(picture) for picture in drawn]
        sections.append(Section("Pictures", text=[_PICTURES], images=images))
    if networks and run.teachers:
        found = diagnosis.diagnose(run, cache)
        sections.append(Section("Diagnosis", text=[_DIAGNOSIS], findings=[("", found)]))
    sections.append(again(command_of_run(run), result["versions"]))
    return page.Page("Run", run.directory.name, _lead(run, beside), sections)


_PICTURES = (
    "Measured on the test set, without augmentation; a student is shown beside its teacher and, "
    "where it is there, the same network on hard labels."
)
_DIAGNOSIS = (
    "Checks of a sample of at most 2,000 training and 2,000 test images, by logitkd diagnose."
)


def again(command, versions):
    """Returns the section on how to get the same numbers again.

    Args:
        command: one line, or None where no single command does it.
        versions: dict of packages to their versions; empty where they were not recorded.
    """
    shown = "\n".join(f"{name}=={version}" for name, version in versions.items())
    code = [("Versions", shown)] if versions else []
    text = ["Equal versions, processor and number of threads give equal bits."]
    if command is None:
        text.append("config.json holds all settings; it is a part of a sweep.")
    else:
        code.insert(0, ("Command", command))
    return Section("Run it again", text=text, code=code)


def _lead(run, beside):
    settings, result = run.settings, run.result
    text = (
        f"{settings.model} on {settings.dataset} is right on "
        f"{page.shown(result['test_accuracy'], PERCENT)} of the test images"
    )
    if settings.kind == "train":
        return f"{text}, after {result['epochs']} epochs on hard labels."
    teacher = page.shown(result["teacher_test_accuracy"], PERCENT)
    text += f"; its teacher {settings.teacher} on {teacher}"
    if beside:
        hard = page.shown(beside.read_result()["test_accuracy"], PERCENT)
        text += f", the same network on hard labels on {hard}"
    return f"{text}."


def _facts(run):
    settings, recipe, result = run.settings, run.settings.recipe, run.result
    facts = [
        ("Dataset", settings.dataset),
        ("Training examples", f"{result['train_examples']:,}"),
        ("Network", f"{settings.model}, {result['parameters']:,} parameters"),
        ("Objective", settings.objective),
    ]
    if settings.teachers:
        facts += [("Teacher", settings.teacher), ("alpha", alpha_text(settings.alpha))]
    if settings.noise:
        facts.append(("Label noise", settings.noise.label))
    return [
        *facts,
        ("Epochs", str(recipe.epochs)),
        ("Batch size", str(recipe.batch_size)),
        ("Learning rate", f"{recipe.learning_rate:g}"),
        ("Seed", str(settings.seed)),
        ("Views", "one per epoch" if settings.views is None else str(settings.views)),
        ("Time", f"{result['seconds']:,.0f} s"),
    ]


def _recipe(settings):
    fields = dataclasses.asdict(settings.recipe)
    return "Recipe", [(name.replace("_", " "), str(value)) for name, value in fields.items()]


def _numbers(result):
    pairs = []
    for name, value in result.items():
        if isinstance(value, dict):
            pairs += [(f"{name} {key}", str(part)) for key, part in value.items()]
        else:
            pairs.append((name, str(value)))
    return "All final numbers", [(name.replace("_", " "), text) for name, text in pairs]


def _result_table(run, beside):
    settings, result = run.settings, run.result
    first = "student" if settings.kind == "distill" else "network"
    rows = [_row(first, settings.model, settings.objective, result)]
    for teacher in run.teachers:
        own = teacher.result() or {}
        if len(run.teachers) == 1:
            own = {"test_accuracy": result["teacher_test_accuracy"], **own}
        rows.append(_row("teacher", teacher.label, None, own))
    if beside:
        rows.append(_row("on hard labels", settings.model, "ce", beside.read_result()))
    columns = [*_NETWORK, *_RESULT.values()]
    return Table("On the test set, after the last epoch", columns, rows)


def _row(role, model, objective, result):
    return [role, model, objective, *map(result.get, _RESULT)]
