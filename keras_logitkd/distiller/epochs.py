"""Telling what moves during a training where the training is: its epoch, its updates."""

import functools
import inspect

import keras


def follow(arguments, distiller, moving):
    """Adds a callback to the arguments of `fit`, by name and in place, that moves what moves.

    Args:
        arguments: of `fit`.
        distiller: what is fitted, a compiled `keras.Model`.
        moving: list of what may have `set_epoch`, which is told the number of epochs, too, where it
            takes that; what is `by_steps` has `set_steps`, which is told the number of updates.

    Raises:
        ValueError: If something goes by steps and Keras tells of several of them at once.
    """
    setters = [
        _setter(each, arguments.get("epochs", 1)) for each in moving if hasattr(each, "set_epoch")
    ]
    if not setters:
        return
    callbacks = arguments.get("callbacks") or []
    told = {"on_epoch_begin": lambda epoch, logs: _tell(setters, epoch)}
    if any(map(_goes_by_steps, moving)):
        if distiller.steps_per_execution > 1:
            raise ValueError(
                "A schedule by steps needs steps_per_execution=1: compile with it, or let it go by "
                f"epochs. Received: steps_per_execution={distiller.steps_per_execution}"
            )
        told["on_train_batch_begin"] = lambda batch, logs: follow_steps(distiller, moving)
    teller = keras.callbacks.LambdaCallback(**told)
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks.append(teller)
    else:
        callbacks = [*keras.tree.flatten(callbacks), teller]
    arguments["callbacks"] = callbacks


def follow_steps(distiller, moving):
    """Moves what goes by steps to the updates that the optimizer has made."""
    stepping = [each for each in moving if _goes_by_steps(each)]
    if not stepping or distiller.optimizer is None:
        return
    steps = int(keras.ops.convert_to_numpy(distiller.optimizer.iterations))
    _tell([each.set_steps for each in stepping], steps)


def _goes_by_steps(each):
    return getattr(each, "by_steps", False)


def _setter(each, epochs):
    """The `set_epoch` of what moves, as a function of the epoch."""
    takes_epochs = "epochs" in inspect.signature(each.set_epoch).parameters
    return functools.partial(each.set_epoch, epochs=epochs) if takes_epochs else each.set_epoch


def _tell(setters, place):
    for setter in setters:
        setter(place)
