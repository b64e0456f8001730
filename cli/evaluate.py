"""`logitkd evaluate`: a trained model on a dataset."""

import click

from keras_logitkd.cli import options, quiet, tables


@click.command()
@click.argument("file_or_run")
@click.option(
    "--dataset",
    metavar="SPEC",
    help="digits, a TFDS name, folder:PATH or npz:PATH. [default: the run's; digits for a file]",
)
@options.data_dir_option
@click.option(
    "--teacher", metavar="FILE_OR_RUN", help="A .keras file or run to measure the agreement with."
)
@click.option("--split", type=click.Choice(["test", "train"]), default="test")
@options.runs_option
@options.output_options
def evaluate(file_or_run, dataset, data_dir, teacher, split, runs_dir, as_json):
    """Print accuracy, loss, calibration error and agreement of a model file or a run."""
    quiet.load_tensorflow()
    from keras_logitkd.data import catalog, pipeline
    from keras_logitkd.networks import sizes
    from keras_logitkd.runs import evaluation
    from keras_logitkd.runs.directory.run_directory import locate_model
    from keras_logitkd.runs.inputs import models
    from keras_logitkd.runs.spec.recipes import recipe_for
    from keras_logitkd.runs.spec.settings import RunSettings

    file, config = locate_model(file_or_run, runs_dir)
    settings = RunSettings.from_config(config) if config else None
    files = [file] + ([locate_model(teacher, runs_dir)[0]] if teacher else [])
    networks = [models.load_model(path) for path in files]

    spec = dataset or (settings.dataset if settings else "digits")
    data = catalog.load(spec, data_dir or (settings.data_dir if settings else None))
    if settings:
        augmentation = settings.recipe.augmentation
    else:
        usual = recipe_for(data).augmentation
        augmentation = models.fitting_augmentation(usual, networks[0])
    shape = augmentation.output_shape(data.image_shape)
    networks = [
        sizes.on_images(models.fitted(network, data, shape, f"Model {path}"), shape)
        for path, network in zip(files, networks, strict=True)
    ]
    batches = pipeline.eval_batches(getattr(data, split), batch_size=256, augmentation=augmentation)
    logits, labels = evaluation.predict(networks[0], batches)
    result = {
        "model": str(file),
        "dataset": spec,
        "split": split,
        "examples": len(labels),
        **evaluation.classification_metrics(logits, labels),
    }
    if teacher:
        result["agreement"] = evaluation.agreement(
            logits, evaluation.predict(networks[1], batches)[0]
        )
    if as_json:
        tables.print_json(result)
        return
    tables.print_table(
        ("model", "dataset", "split", "examples", "accuracy", "loss", "ECE", "agreement"),
        [
            (
                str(file),
                spec,
                split,
                tables.integer(len(labels)),
                tables.percent(result["accuracy"]),
                f"{result['loss']:.4f}",
                f"{result['ece']:.4f}",
                tables.percent(result.get("agreement")),
            )
        ],
    )
