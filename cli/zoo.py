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
    classes is built and counted, for example: logitkd zoo wrn-22-3 --classes 10. So is every
    network by its specification: logitkd zoo "keras:MobileNetV2?alpha=0.35"
    """
    from keras_logitkd import zoo as models
    from keras_logitkd.model_specs import application_rows, costs

    asked = [(name, image_size, channels, classes) for name in names or models.list_models()]
    if not all(costs.is_known(*each) for each in asked):
        quiet.load_tensorflow()
    rows = [costs.cost_of(*each) for each in asked]
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
    if not names:
        known = [
            f"{name} ({size})" for row in application_rows.ROWS for name, size in row.names.items()
        ]
        click.echo(f"\nkeras:NAME, with the size it was published for: {', '.join(known)}")
        click.echo("logitkd zoo keras:NAME counts one of them.")
