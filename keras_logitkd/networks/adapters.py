"""Teachers that do not fit as they are: other classes, inputs, outputs or places than a student's.

What comes out is a `keras.Model` or a callable, so that nothing else knows of it.
"""

import keras

from keras_logitkd.networks.adapted import Adapted, bound, without_logit_layers
from keras_logitkd.networks.logit_layers import PickClasses, ResizeLogits
from keras_logitkd.networks.outputs import inputs_of, is_graph, picked, returns_tensor
from keras_logitkd.networks.probabilities import FromProbabilities


def adapt(teacher, *, classes=None, output=None, teacher_input=None, size=None):
    """Returns a teacher that says what a student can learn: other classes, inputs, outputs, places.

    The options are applied in the order of a forward pass, whatever order they are written in:
    `teacher_input`, the teacher, `output`, `size`, `classes`. What is returned can be adapted
    again, averaged with others in a list, and given to `strip_activation` where it is a model.

    Args:
        teacher: A built `keras.Model`, a callable from a batch to logits, or what
            `from_probabilities` returns.
        classes: Indices of the teacher's classes, in the student's order, where it knows more
            classes or has them in another order. The logits of some classes are those of the
            distribution given that it is one of them: softmax(z)_k / sum_j softmax(z)_j over the
            picked ones, exact also where logits are -inf. Defaults to None: all of them.
        output: One of several outputs: a name of the model's outputs, of the layer that makes it,
            its key in a dictionary, or its index. Defaults to None.
        teacher_input: A function or layer of the student's inputs that gives the teacher's, such
            as `keras.layers.Resizing(96, 96)` or a `keras.Sequential` of some. It runs in
            inference mode; it gets tensors where the teacher does, and NumPy arrays where that is
            a function of arrays. Defaults to None: the student's inputs.
        size: (height, width) of the student's logits `(batch, height, width, classes)`, or the
            length of `(batch, length, classes)`, to which the teacher's are resized: linearly,
            with antialiasing, along each axis. Of `from_probabilities` the probabilities are
            resized, because a mean of them is one where some are 0, too. Elsewhere a class is
            excluded, by -inf, at a place that is the mean of some where it is. Defaults to None.

    Returns:
        A functional `keras.Model` on the layers of `teacher`, where that is a Sequential or
        functional one. With a `teacher_input` whose own input shape is not known, and for other
        teachers, a callable from a batch to logits; the Distiller makes a model of it where it
        knows the student's inputs, so that features can be taken from the teacher inside.

    Raises:
        ValueError: If the teacher has no such classes, output or places, or an option is malformed.

    Example:

    >>> teacher = keras_logitkd.adapt(
    ...     imagenet_model, classes=[281, 207], teacher_input=keras.layers.Resizing(224, 224)
    ... )
    """
    _check_teacher(teacher)
    _check_input(teacher_input)
    after = [] if size is None else [ResizeLogits(size)]
    after += [] if classes is None else [PickClasses(classes)]
    if output is None and teacher_input is None and not after:
        return teacher
    given = _as_adapted(teacher)
    if output is not None or after:
        given = _with_logits(given, output, after)
    if teacher_input is not None:
        before = (teacher_input, *given.before)
        given = Adapted(given.teacher, before, given.output, given.after)
    return _as_model(given)


def _check_teacher(teacher):
    if isinstance(teacher, keras.Model) and not teacher.built:
        raise ValueError(
            "`teacher` must be built, with its trained weights, to be adapted. "
            f"Received: unbuilt model {teacher.name!r}"
        )
    if not callable(teacher) or isinstance(teacher, type):
        instead = "adapt each of several teachers"
        if hasattr(teacher, "predict_proba"):
            instead = "for an estimator pass keras_logitkd.from_probabilities(teacher)"
        raise ValueError(
            "`teacher` must be a keras.Model or a callable from a batch to logits to be adapted; "
            f"{instead}. Received: {teacher!r}"
        )


def _check_input(teacher_input):
    is_function = callable(teacher_input) and not isinstance(teacher_input, type)
    if teacher_input is not None and not is_function:
        raise ValueError(
            "`teacher_input` must be a function or layer of the student's inputs. "
            f"Received: teacher_input={teacher_input!r}"
        )


def _as_adapted(teacher):
    if isinstance(teacher, Adapted):
        return teacher
    if not is_graph(teacher):
        return Adapted(teacher)
    model, after = without_logit_layers(teacher)
    return Adapted(model, after=after)


def _with_logits(given, output, after):
    """An `Adapted` with one of its outputs, which is picked before all else, and more layers."""
    teacher, layers = given.teacher, (*given.after, *after)
    if output is not None and (given.output is not None or given.after):
        raise ValueError(
            "`output` must be picked once, and before `classes` and `size`. "
            f"Received: output={output!r} of {given.__name__}"
        )
    if is_graph(teacher):
        if output is not None or not returns_tensor(teacher):
            outputs = picked(teacher, output)
            teacher = keras.Model(inputs_of(teacher), outputs, name=teacher.name)
        return Adapted(teacher, given.before, None, layers)
    if isinstance(teacher, FromProbabilities) and layers and isinstance(layers[0], ResizeLogits):
        teacher, layers = teacher.resized(layers[0]), layers[1:]
    output = given.output if output is None else output
    return Adapted(teacher, given.before, output, layers)


def _as_model(adapted):
    """A model where the graph and the shape of its inputs are known, else the callable."""
    teacher, before = adapted.teacher, adapted.before
    if not is_graph(teacher) or (before and not is_graph(before[0])):
        return adapted
    if before:
        return bound(adapted, before[0])
    logits = adapted.adapt_logits(teacher.outputs[0])
    return keras.Model(inputs_of(teacher), logits, name=teacher.name)
