"""The logit losses by name: one row each. Reading names needs no Keras."""

import dataclasses

from keras_logitkd.losses import grammar, schedules


@dataclasses.dataclass(frozen=True)
class Row:
    """What is known of a loss before its class is.

    Args:
        location: of its class, `"module:Class"`.
        argument: the option that may follow the colon without its name, see `grammar`. One named
            `"temperature"` is in [0, inf], is what `--tau` gives, and is searched by `tune`.
            Defaults to None: there is none.
        default: of the argument. Defaults to None.
    """

    location: str
    argument: str | None = None
    default: float | None = None

    @property
    def is_softened(self):
        """Whether the loss has a temperature."""
        return self.argument == "temperature"


LOSSES = {
    "mse": Row("keras_logitkd.losses.mse:LogitMSE"),
    "kl": Row("keras_logitkd.losses.kl:LogitKL", "temperature", 4.0),
    "bkl": Row("keras_logitkd.losses.bernoulli_kl:LogitBernoulliKL", "temperature", 4.0),
    "ttm": Row("keras_logitkd.losses.ttm:LogitTTM", "temperature", 4.0),
}


def softened():
    """Returns the names of the losses that have a temperature, a list."""
    return [name for name, row in LOSSES.items() if row.is_softened]


def with_argument(name, value):
    """Returns the term of a loss with an argument, a number or a text: `"kl:3"`."""
    return f"{name}:{value}" if isinstance(value, str) else f"{name}:{value:.12g}"


def stages_in(text):
    """Returns the (term, first epoch) pairs of `"kl:3@0,mse@100"`, or [] where it has none.

    A single term that moves, such as `"kl:8..2@20"`, has none.
    """
    stages = [part.rpartition("@") for part in grammar.split_list(text)]
    is_moving = len(stages) == 1 and schedule_in(text)
    if is_moving or not all(start.isdecimal() for _, _, start in stages):
        return []
    return [(term, int(start)) for term, _, start in stages]


def schedule_in(term):
    """Returns the text of the schedule that a term has as its argument, or None."""
    argument = grammar.split_argument(term)[0]
    return argument if argument and schedules.moves(argument) else None


def over(text, epochs):
    """Returns a term or stages, of a training of so many epochs, with each schedule's length."""
    if stages := stages_in(text):
        ends = [start for _, start in stages[1:]] + [epochs]
        pairs = zip(stages, ends, strict=True)
        return ",".join(f"{over(term, end - start)}@{start}" for (term, start), end in pairs)
    if (argument := schedule_in(text)) is None:
        return text
    head, tail = text.split(argument, 1)
    return f"{head}{schedules.Schedule.read('temperature', argument).over(epochs).text}{tail}"


def get(identifier):
    """Returns the loss that an identifier names.

    Args:
        identifier: a term such as `"mse"`, `"kl"` (temperature 4), `"kl:3"`, `"kl:inf"`,
            `"kl:3,scale=squared"` or `"kl:8..2@20"` (see `schedules`), stages with their first
            epochs such as `"kl:3@0,mse@100"`, a config as `keras.saving.serialize_keras_object`
            makes it, or a loss of teacher and student logits, which is returned as it is.

    Returns:
        A `keras.losses.Loss` instance.

    Raises:
        ValueError: If nothing of that kind is named, or it is a loss of Keras whose targets must
            be probabilities or labels, see `targets`.
    """
    import keras

    loss = identifier
    if isinstance(identifier, dict):
        loss = keras.saving.deserialize_keras_object(identifier)
    elif isinstance(identifier, str) and (stages := stages_in(identifier)):
        from keras_logitkd.losses.sequential import SequentialLoss

        loss = SequentialLoss(stages)
    elif isinstance(identifier, str) and ("@" not in identifier or schedule_in(identifier)):
        loss = _read(identifier)
    if not isinstance(loss, keras.losses.Loss):
        raise ValueError(f"`distillation_loss` must be {_allowed()}. Received: {identifier!r}")
    from keras_logitkd.losses.targets import check_targets

    return check_targets(loss)


def _read(term):
    """The loss of a term, or None where there is none of that name."""
    name, (argument, text), given = grammar.name_of(term), grammar.split_argument(term), {}
    row = LOSSES.get(name)
    if row is None or (argument == "" and not row.argument):
        return None
    cls = grammar.load(row.location)
    if argument is not None and row.is_softened:
        from keras_logitkd.losses.kl import parse_temperature

        moving = schedule_in(term)
        given = {row.argument: parse_temperature(argument) if moving is None else moving}
    elif argument is not None and row.argument:
        given = {row.argument: grammar.read(name, row.argument, argument, row.default)}
    elif argument is not None:
        text = f"{argument},{text}".rstrip(",")
    return cls(**given, **grammar.read_options(name, cls, text, row.argument))


def temperature_of(term):
    """Returns the temperature of a term, or None where it has none or moves.

    Raises:
        ValueError: If what is written there is no number.
    """
    row = LOSSES.get(grammar.name_of(term))
    if row is None or not row.is_softened or schedule_in(term):
        return None
    argument = grammar.split_argument(term)[0]
    return row.default if argument is None else float(argument)


def _allowed():
    names = [f'"{name}"' for name in LOSSES]
    for name, row in LOSSES.items():
        if row.argument:
            letter = row.argument[0].upper()
            bounds = f" with {letter} in [0, inf] or as 8..2@20" if row.is_softened else ""
            names.append(f'"{name}:{letter}"{bounds}')
    return f'one of {", ".join(names)}, stages such as "kl:3@0,mse@100", a loss, or a config of one'
