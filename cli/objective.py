"""`--loss`, and what else says of it: `--tau`, `--switch-epoch` and `--stages`."""

import click

from keras_logitkd import features
from keras_logitkd.losses import grammar, registry

SEQUENTIAL = "sequential"  # kl, then mse


def forms():
    """Returns how the logit losses are written, such as `mse, kl:T`."""
    arguments = {name: (row.argument or "")[:1].upper() for name, row in registry.LOSSES.items()}
    return ", ".join(f"{name}:{letter}" if letter else name for name, letter in arguments.items())


def check(given):
    """Raises click.UsageError where the options of an objective exclude each other."""
    if given["tau"] is not None and given["loss"] != SEQUENTIAL:
        _check_tau(given["loss"], given["tau"])
    if given["switch_epoch"] is not None and given["loss"] != SEQUENTIAL:
        raise click.UsageError("'--switch-epoch' goes with '--loss sequential'")
    if given["stages"] is None:
        return
    if given["loss"] != SEQUENTIAL:
        raise click.UsageError(
            "'--stages' goes with '--loss sequential'. Its text may be that of '--loss' itself"
        )
    for name, flag in (("tau", "--tau"), ("switch_epoch", "--switch-epoch")):
        if given[name] is not None:
            raise click.UsageError(f"'--stages' and '{flag}' exclude each other")


def _check_tau(loss, tau):
    if _takes_tau(loss):
        return
    objective = features.Objective.parse(loss)
    instead = f"write {registry.with_argument('kl', tau)}+..."
    if not objective.methods:
        has_one = objective.stages or objective.temperature is not None
        has_one = has_one or registry.schedule_in(loss)
        instead = f"{loss} has {'one' if has_one else 'none'}"
    names = " or ".join(registry.softened())
    raise click.UsageError(f"'--tau' is the temperature of {names}; {instead}")


def _takes_tau(loss):
    """Whether a loss alone has a temperature and leaves it open, such as kl or kl,scale=none."""
    objective = features.Objective.parse(loss)
    is_alone = not objective.methods and not objective.stages
    is_softened = grammar.name_of(loss) in registry.softened()
    return is_alone and is_softened and grammar.split_argument(loss)[0] is None


def text_of(given, epochs):
    """Returns the text of the objective, stages checked against the number of epochs.

    Raises:
        click.UsageError: If the epochs are too few for `sequential`, or `--stages` has none.
        ValueError: If a stage is wrong or begins too late.
    """
    loss, tau = given["loss"], given["tau"]
    if given["stages"] is not None:
        loss = "".join(given["stages"].split())
        if "@" not in loss:
            raise click.UsageError(
                f"'--stages' must be LOSS@EPOCH[,...], such as kl:3@0,mse@100. Received: {loss!r}"
            )
    if loss == SEQUENTIAL:
        return _sequential(tau, given["switch_epoch"], epochs)
    if loss in registry.softened() or (tau is not None and _takes_tau(loss)):
        return _softened(loss, tau)
    objective = features.Objective.parse(loss)
    if objective.stages:
        objective.check()
        objective.check_epochs(epochs)
    return loss


def _softened(loss, tau):
    """A loss with its temperature before its other options."""
    name, (_, others) = grammar.name_of(loss), grammar.split_argument(loss)
    tau = registry.LOSSES[name].default if tau is None else tau
    return registry.with_argument(name, tau) + (f",{others}" if others else "")


def _sequential(tau, switch_epoch, epochs):
    switch_epoch = epochs // 2 if switch_epoch is None else switch_epoch
    if epochs < 2:
        raise click.UsageError(f"'--loss sequential' needs '--epochs' of at least 2, not {epochs}")
    if not 1 <= switch_epoch < epochs:
        raise click.UsageError(
            f"'--switch-epoch' must lie in 1..{epochs - 1} of {epochs} epochs. "
            f"Received: {switch_epoch}"
        )
    return f"{_softened('kl', tau)}@0,mse@{switch_epoch}"
