"""`logitkd zoo`: the models."""

import click

from keras_logitkd.cli import options, parameters, quiet, tables


@click.command()
@click.argument("names", nargs=-1, type=parameters.model_name)
@options.count("--image-size", "Side in pixels. [default: 32; ImageNet family 224]")
@options.count("--channels", "Of the images.", default=3)
@options.count("--classes", "Number of logits. [default: 100; ImageNet family 1000]", least=2)
@options.output_options
def zoo(names, image_size, channels, classes, as_json):
    """List models by name, or those given: trainable parameters and FLOPs of one image.

    The common ones at their usual sizes are known; any other depth, width, size and number of
    classes is built and counted, for example: logitkd zoo wrn-22-3 --classes 10
    """
    from keras_logitkd import zoo as models
    from keras_logitkd.zoo import sizes

    asked = [(name, image_size, channels, classes) for name in names or models.list_models()]
    if not all(sizes.known(*each) for each in asked):
        quiet.load_tensorflow()
    rows = [sizes.size_of(*each) for each in asked]
    if as_json:
        tables.print_json(rows)
        return
    tables.print_table(
        ("name", "family", "input", "classes", "parameters", "MFLOPs"),
        [
            (
                row["name"],
                row["family"],
                "x".join(map(str, row["input_shape"])),
                str(row["classes"]),
                tables.integer(row["parameters"]),
                f"{row['flops'] / 1e6:,.1f}",
            )
            for row in rows
        ],
    )
