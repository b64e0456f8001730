"""Names of the feature methods, and how an objective is written down.

    OBJECTIVE = TERM[+TERM...]        a logit loss, feature methods, or both
    TERM = LOSS | METHOD[:OPTION=VALUE[,OPTION=VALUE...]]
    LOSS = what `losses.get` reads: mse, kl:3, "kl:3@0,mse@100"

Lists of values are separated by slashes, a student's and a teacher's tap by a colon: `at`,
`at:weight=500`, `mse+at`, `fitnets:taps=conv_3:group2_out/g3,weight=0..100@5`. Without a logit
loss a method has the one that it was published with, or none.
"""

import difflib
import importlib
import inspect
import re

# The class of each method, in the module of the method's name.
METHODS = {
    "fitnets": "FitNets",
    "at": "AttentionTransfer",
    "jacobian": "JacobianMatching",
    "ft": "FactorTransfer",
    "ab": "ActivationBoundaries",
    "overhaul": "Overhaul",
    "dist": "DIST",
    "dkd": "DKD",
    "sp": "SimilarityPreserving",
    "pkt": "ProbabilisticTransfer",
    "nst": "NeuronSelectivity",
    "rkd": "RelationalDistillation",
    "cc": "CorrelationCongruence",
    "vid": "VariationalInformation",
    "reviewkd": "KnowledgeReview",
}
_LOGIT_LOSSES = ("mse", "kl")


def parse(spec):
    """Returns (logit loss or None, list of specifications of methods) of an objective.

    Args:
        spec: an objective, see the top of this module.

    Raises:
        ValueError: If a term is neither a logit loss nor a method, or there are two logit losses.
    """
    found = {"loss": [], "method": []}
    for term in re.split(r"\+(?=[a-zA-Z])", spec):
        name = re.split("[:@]", term)[0]
        if name not in METHODS and name not in _LOGIT_LOSSES:
            raise ValueError(
                f"`loss` must be made of {', '.join([*_LOGIT_LOSSES, *METHODS])}, such as mse, "
                f"kl:3, at or mse+at:weight=500. Received: {spec!r}{_hint(name, METHODS)}"
            )
        found["method" if name in METHODS else "loss"].append(term)
    if len(found["loss"]) > 1:
        raise ValueError(f"`loss` may have one logit loss. Received: {spec!r}")
    return next(iter(found["loss"]), None), found["method"]


def split_list(text):
    """Returns the objectives in a list with commas, which may be between options, too."""
    return tuple(part.strip() for part in re.split(r",(?!\s*\w+=)", text))


def get(identifier, **defaults):
    """Returns the feature method that an identifier names.

    Args:
        identifier: a specification such as `"at"` or `"at:weight=500"`, a config as
            `keras.saving.serialize_keras_object` makes it, or a `FeatureMethod`, which is returned
            as it is.
        **defaults: options of a method by specification that it does not have there.

    Raises:
        ValueError: If there is no such method or option, or a value is out of range.
    """
    import keras

    from keras_logitkd.features.method import FeatureMethod

    method = identifier
    if isinstance(identifier, dict):
        method = keras.saving.deserialize_keras_object(identifier)
    elif isinstance(identifier, str):
        name, _, text = identifier.partition(":")
        if name not in METHODS:
            raise ValueError(
                f"A feature method must be one of {', '.join(METHODS)}. "
                f"Received: {identifier!r}{_hint(name, METHODS)}"
            )
        cls = method_class(name)
        method = cls(**{**defaults, **_read_options(name, cls, text)})
    if not isinstance(method, FeatureMethod):
        raise ValueError(
            f"A feature method must be a name, a config or a FeatureMethod. Received: {method!r}"
        )
    return method


def method_class(name):
    """Returns the class of a method by name."""
    return getattr(importlib.import_module(f"keras_logitkd.features.{name}"), METHODS[name])


def options_of(cls):
    """Returns the options of a method's class with their defaults, a dict."""
    options = {}
    for parent in cls.__mro__:
        if parent.__name__ == "Layer":
            break
        for parameter in inspect.signature(parent.__init__).parameters.values():
            if parameter.default is not parameter.empty and parameter.name != "name":
                options.setdefault(parameter.name, parameter.default)
    return options


def _read_options(name, cls, text):
    """The options of a specification after the name of its method, a dict."""
    known, given = options_of(cls), {}
    for part in text.split(",") if text else ():
        option, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or option not in known:
            raise ValueError(
                f"An option of {name} must be one of {', '.join(known)}, as OPTION=VALUE. "
                f"Received: {part!r}{_hint(option, known)}"
            )
        given[option] = _read(name, option, value, known[option])
    return given


def _read(name, option, text, default):
    """The value of an option, of the type of its default."""
    if option == "weight":
        return text  # the method reads a number or a schedule
    kind = type(default)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind in (int, float):
            return kind(text)
    except (KeyError, ValueError):
        what = {bool: "true or false", int: "an integer", float: "a number"}[kind]
        raise ValueError(
            f"`{option}` of {name} must be {what}. Received: {option}={text}"
        ) from None
    if kind is tuple:
        return tuple(text.split("/"))
    if default is None and re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


def _hint(name, known):
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f". Did you mean {near[0]!r}?" if near else ""
