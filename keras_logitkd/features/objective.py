"""From an objective as it is written down to the stages of its training."""

from keras_logitkd.features.registry import get, parse
from keras_logitkd.features.stages import Stage


def stages_of(spec, alpha=1.0, epochs=None, **defaults):
    """Returns the stages that train an objective, the main one last.

    Args:
        spec: an objective, see `features.registry`.
        alpha: weight of its logit loss: (1 - alpha) * hard + alpha * logit loss + features. Without
            a logit loss there, methods bring their own with its weight, and it must be 1.
        epochs: of the main stage. Defaults to None: not known yet.
        **defaults: options of the methods that `spec` does not give.

    Returns:
        A list of `Stage`.

    Raises:
        ValueError: If a term or an option is not known, `alpha` weighs nothing, two methods have
            stages of their own, or two bring logit losses.
    """
    loss, specs = parse(spec)
    methods = [get(each, **defaults) for each in specs]
    if not methods:
        return [Stage("main", loss, alpha, epochs=epochs)]
    if loss is None:
        if alpha != 1:
            raise ValueError(
                f"`alpha` weighs a logit loss, and {spec} names none: write mse+{spec} or "
                f"kl:4+{spec}. Received: alpha={alpha:g}"
            )
        loss, alpha = _own_logit_loss(methods)
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise ValueError(f"`loss` may name a method once. Received: {spec}")
    staged = [method for method in methods if method.preparation()]
    if len(staged) > 1:
        both = " and ".join(method.name for method in staged)
        raise ValueError(f"`loss` may have one method with stages. Received: {both}")
    leader = (staged or methods)[0]
    others = tuple(method for method in methods if method is not leader)
    return [*leader.preparation(), leader.main_stage(loss, alpha, others, epochs)]


def check(spec, alpha=1.0):
    """Raises ValueError where `stages_of` would, or there is no such logit loss."""
    from keras_logitkd import losses

    if (loss := parse(spec)[0]) is not None:
        losses.get(loss)
    stages_of(spec, alpha)


def _own_logit_loss(methods):
    """The logit loss and its weight that methods are published with."""
    own = [method for method in methods if method.logit_loss is not None]
    if len(own) > 1:
        both = " and ".join(method.name for method in own)
        raise ValueError(
            f"{both} come with different logit losses: name the one to use, as in mse+{own[0].name}"
        )
    return (own[0].logit_loss, own[0].alpha) if own else (None, 0.0)
