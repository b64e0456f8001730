"""Names of the feature methods. Terms are written as `losses.grammar` says: `at:weight=500`."""

from keras_logitkd.losses import grammar

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
        name = grammar.name_of(identifier)
        if name not in METHODS:
            raise ValueError(
                f"A feature method must be one of {', '.join(METHODS)}. "
                f"Received: {identifier!r}{grammar.hint(name, METHODS)}"
            )
        cls, text = method_class(name), identifier[len(name) + 1 :]
        method = cls(**{**defaults, **grammar.read_options(name, cls, text)})
    if not isinstance(method, FeatureMethod):
        raise ValueError(
            f"A feature method must be a name, a config or a FeatureMethod. Received: {method!r}"
        )
    return method


def method_class(name):
    """Returns the class of a method by name."""
    return grammar.load(f"keras_logitkd.features.{name}:{METHODS[name]}")
