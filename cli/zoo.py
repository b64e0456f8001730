"""`logitkd zoo`: the models."""

import click

from keras_logitkd.cli import options, parameters, quiet, tables


@click.command()
@click.argument("names", nargs=-1, type=parameters.model_name)
@options.count("--image-size", "Pixels. [default: 32; ImageNet family 224]")
@options.count("--channels", None, default=3)
@options.count("--classes", "[default: 100; ImageNet family 1000]", least=2)
@options.output_options
def zoo(names, image_size, channels, classes, as_json):
    """List models by name, or those given: trainable parameters and FLOPs of one image."""
    quiet.load_tensorflow()
    from keras_logitkd import zoo as models
    from keras_logitkd.runs.inputs.models import count_parameters
    from keras_logitkd.zoo import registry

    rows = []
    for name in names or models.list_models():
        family = registry.family_of(name)
        size = image_size or family.image_size
        shape, count = (size, size, channels), classes or family.classes
        model = models.build(name, shape, count)
        rows.append(
            {
                "name": name,
                "input_shape": shape,
                "classes": count,
                "parameters": count_parameters(model),
                "flops": int(models.count_flops(model)),
            }
        )
    if as_json:
        tables.print_json(rows)
        return
    tables.print_table(
        ("name", "input", "classes", "parameters", "MFLOPs"),
        [
            (
                row["name"],
                "x".join(map(str, row["input_shape"])),
                str(row["classes"]),
                tables.integer(row["parameters"]),
                f"{row['flops'] / 1e6:,.1f}",
            )
            for row in rows
        ],
    )
