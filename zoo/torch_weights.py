"""PyTorch checkpoints of the zoo's architectures, loaded into its models.

The networks' original PyTorch codes give the same function other names: the paper's code
(jhoon-oh/kd_data) and RepDistiller for the wide residual networks, RepDistiller for the CIFAR
residual networks, torchvision for those of ImageNet. `keras_layer` translates the names.
"""

import re
import typing
from collections.abc import Mapping

import keras
import numpy as np

from keras_logitkd.zoo.flops import leaf_layers

# A module outside the groups. `bn1` follows the groups in wide residual networks: `final_bn`.
_OUTER_MODULES = {"conv1": "stem_conv", "bn1": "stem_bn", "fc": "logits", "linear": "logits"}
# A module in a block, where it is not of the same name.
_BLOCK_MODULES = {
    "convShortcut": "shortcut_conv",
    "downsample.0": "shortcut_conv",
    "downsample.1": "shortcut_bn",
}
# `block1.layer.0.conv1` in wide residual networks, `layer1.0.conv1` in the others.
_BLOCK = re.compile(r"(?:block(\d+)\.layer|layer(\d+))\.(\d+)\.(.+)")

_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_KERNEL = {"weight": "kernel", "bias": "bias"}
_WRAPPERS = ("model", "state_dict", "net")
_SHOWN = 5


class _Assignment(typing.NamedTuple):
    """A value, in Keras's order of axes, and the variable it goes to."""

    key: str
    variable: keras.Variable
    value: np.ndarray


def load_state_dict(model, state):
    """Loads a PyTorch state dict into a model of the zoo.

    Takes the names of the paper's code, of RepDistiller and of torchvision. Prefixes of
    `DataParallel` and the common wrappings of checkpoints (`{"model": state, ...}`) are taken off.
    Batch normalization without affine parameters gets a gamma of 1 and a beta of 0. Either every
    weight of the model is set and every entry used, or nothing changes.

    Args:
        model: A model of `zoo.build`, or one that holds it and no other layers with weights than
            `keras.layers.Normalization`; `to_stock` copies as well.
        state: Mapping of PyTorch's names to arrays or tensors.

    Returns:
        `model`, its weights set in place.

    Raises:
        ValueError: If a weight is missing, an entry is left over or a shape does not fit.
    """
    state = _unwrap(state)
    layers = {layer.name: layer for layer in _layers_with_weights(model)}
    assignments = {}  # by the variable's id
    leftover = []
    for key, value in state.items():
        module, _, parameter = key.rpartition(".")
        if parameter == "num_batches_tracked":
            continue
        variable = _variable(layers.get(keras_layer(module, wide="final_bn" in layers)), parameter)
        if variable is None or id(variable) in assignments:
            leftover.append(key)
        else:
            assignments[id(variable)] = _Assignment(key, variable, _to_keras(value, variable))
    for layer in layers.values():
        _add_identity_affine(layer, assignments)
    _check_complete(model, assignments, leftover)
    for assignment in assignments.values():
        assignment.variable.assign(assignment.value)
    return model


def read_state_dict(path):
    """Reads the state dict of a PyTorch checkpoint, without running code that it may hold.

    Args:
        path: Path of a file written by `torch.save`.

    Returns:
        A dict of PyTorch's names to tensors on the CPU.

    Raises:
        ImportError: If PyTorch is not installed.
        OSError: If the file cannot be read.
        ValueError: If the file is no checkpoint, or one that needs more than loading weights.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading a PyTorch checkpoint needs PyTorch: "
            'pip install "keras-logitkd[torch]". '
            f"Received: path={str(path)!r}"
        ) from error
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch lets errors of several libraries through
        raise ValueError(
            "`path` must be a PyTorch checkpoint that loads with weights_only=True; one with other "
            "objects must be saved again as a state dict. "
            f"Received: path={str(path)!r} ({type(error).__name__})"
        ) from error
    return _unwrap(checkpoint)


def keras_layer(module, wide):
    """The name of the zoo's layer for a PyTorch module.

    Args:
        module: Name of a PyTorch module, such as `layer2.0.downsample.1`.
        wide: Whether it belongs to a wide residual network.

    Returns:
        A string, such as `group2_block1_shortcut_bn`.
    """
    match = _BLOCK.fullmatch(module)
    if match:
        group, block, name = match[1] or match[2], int(match[3]) + 1, match[4]
        return f"group{group}_block{block}_{_BLOCK_MODULES.get(name, name)}"
    if wide and module == "bn1":
        return "final_bn"
    return _OUTER_MODULES.get(module, module)


def _unwrap(state):
    """The state dict inside a checkpoint, without the prefix of `DataParallel`."""
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise ValueError(
            "`state` must be a mapping of PyTorch's parameter names to arrays. "
            f"Received: {type(state).__name__}"
        )
    if all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def _layers_with_weights(model):
    for layer in leaf_layers(model):
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            yield layer


def _variable(layer, parameter):
    """The variable of `layer` that holds PyTorch's `parameter`, or None."""
    is_batch_norm = isinstance(layer, keras.layers.BatchNormalization)
    name = (_BATCH_NORM if is_batch_norm else _KERNEL).get(parameter)
    return getattr(layer, name, None) if name else None


def _to_keras(value, variable):
    """A value in Keras's order of axes: PyTorch's kernels have outputs and inputs first."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().float()
    value = np.asarray(value)
    if variable.name != "kernel":
        return value
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T


def _add_identity_affine(layer, assignments):
    """Gamma 1 and beta 0 for a batch normalization of which there are statistics only."""
    if not isinstance(layer, keras.layers.BatchNormalization):
        return
    affine = ((layer.gamma, 1.0), (layer.beta, 0.0))
    given = any(id(variable) in assignments for variable, _ in affine)
    if id(layer.moving_mean) in assignments and not given:
        for variable, value in affine:
            filled = np.full(variable.shape, value)
            assignments[id(variable)] = _Assignment("affine=False", variable, filled)


def _check_complete(model, assignments, leftover):
    """Refuses a state dict that does not set every weight, with one line that says why."""
    weights = [weight for layer in _layers_with_weights(model) for weight in layer.weights]
    missing = [weight.path for weight in weights if id(weight) not in assignments]
    misshapen = [
        f"{key} {value.shape} for {variable.path} {tuple(variable.shape)}"
        for key, variable, value in assignments.values()
        if value.shape != tuple(variable.shape)
    ]
    problems = {
        "weights of the model not in it": missing,
        "entries left over": leftover,
        "shapes that differ, in Keras's order of axes": misshapen,
    }
    if any(problems.values()):
        listed = "; ".join(
            f"{len(items)} {kind}: {', '.join(items[:_SHOWN])}" + ", ..." * (len(items) > _SHOWN)
            for kind, items in problems.items()
            if items
        )
        raise ValueError(f"`state` must fit the model. Received: {listed}")
