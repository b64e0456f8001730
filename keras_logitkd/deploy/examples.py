"""What lies beside an exported file: class names, a description, a program that runs it."""

from keras_logitkd.runs.describe import described
from keras_logitkd.storage import hashing
from keras_logitkd.storage.atomic import replacing, write_json

_HEAD = '''"""Names the class of an image: python predict.py IMAGE.npy

IMAGE.npy is an array of shape {shape}, raw pixels from {low} to {high}, {colours}. Needs NumPy and
{runtime}.
"""

import pathlib
import sys

import numpy as np
{imports}

here = pathlib.Path(__file__).parent
names = (here / "labels.txt").read_text(encoding="utf-8").splitlines()
image = np.load(sys.argv[1])[np.newaxis].astype("{dtype}")
'''
_TAIL = """order = np.argsort(-said)
for number in order[:3]:
    print(f"{names[number]}\\t{said[number]:.4f}")
"""
_RUN = {
    "litert": (
        "ai-edge-litert",
        "from ai_edge_litert.interpreter import Interpreter",
        """model = Interpreter(model_path=str(here / "{file}"))
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], image)
model.invoke()
said = model.get_tensor(model.get_output_details()[0]["index"])[0]
""",
    ),
    "onnx": (
        "onnxruntime",
        "import onnxruntime",
        """model = onnxruntime.InferenceSession(str(here / "{file}"))
said = model.run(None, {{model.get_inputs()[0].name: image}})[0][0]
""",
    ),
}


def write(folder, file, found, network, about):
    """Writes labels.txt, model.json and predict.py beside an exported file.

    Args:
        folder: pathlib.Path.
        file: of the exported network, in the folder.
        found: the `FinishedRun`.
        network: the Keras network that was exported.
        about: dict of `format`, `quantize`, `softmax` and `input_type`.
    """
    source = found.directory.model_file(found.settings.kind)
    description = described(source, network, found.settings, found.dataset).to_config()
    description |= {
        "file": file.name,
        "dtype": about["input_type"],
        "output": "probabilities" if about["softmax"] else description["output"],
        "made_by": {"run": found.directory.name, **about},
        "sha256": hashing.of_file(file),
        "source_fingerprint": description.pop("fingerprint"),
    }
    write_json(folder / "model.json", description)
    names = "".join(f"{name}\n" for name in found.dataset.class_names)
    with replacing(folder / "labels.txt") as partial:
        partial.write_text(names, encoding="utf-8")
    with replacing(folder / "predict.py") as partial:
        partial.write_text(_program(file, description, about), encoding="utf-8")


def _program(file, description, about):
    runtime, imports, run = _RUN[about["format"]]
    low, high = description["pixel_range"]
    head = _HEAD.format(
        shape=tuple(description["input_shape"]),
        low=low,
        high=high,
        colours=description["colours"],
        runtime=runtime,
        imports=imports,
        dtype=about["input_type"],
    )
    return head + run.format(file=file.name) + _TAIL
