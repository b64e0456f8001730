"""The files of an analysis: pictures as PNG and SVG, and the measures of every run as CSV."""

import pathlib

from keras_logitkd.analysis import picture, plots
from keras_logitkd.storage.atomic import replacing


def write(analysis, output):
    """Writes every picture of an analysis and measures.csv.

    Args:
        analysis: an `Analysis`.
        output: directory, created if need be; files of an earlier analysis in it are replaced.

    Returns:
        Dict of a picture's name, and "measures", to a pathlib.Path; beside each PNG is the SVG.

    Raises:
        OSError: If the files cannot be written.
    """
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    files = {"measures": output / "measures.csv"}
    with replacing(files["measures"]) as partial:
        analysis.table().to_csv(partial, index=False)
    for one in picture.pictures(analysis):
        files[one.name] = plots.save(one.figure, output / one.name, (".png", ".svg"))
    return files
