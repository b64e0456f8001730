"""What a teacher, a student and a hard loss must be to go together."""

import keras

from keras_logitkd import losses
from keras_logitkd.networks import two_classes
from keras_logitkd.networks.adapted import Adapted, bound
from keras_logitkd.networks.callables import CallableTeacher
from keras_logitkd.networks.endings import advice, ending_of
from keras_logitkd.networks.outputs import is_graph, names_of, returns_tensor
from keras_logitkd.networks.shapes import adapting, compatible


def check_backend():
    """Raises ValueError unless Keras runs on TensorFlow, which the Distiller's steps need."""
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ValueError(
            "Distiller needs Keras on TensorFlow: set KERAS_BACKEND=tensorflow. The losses, which "
            "keras.distillation.Distiller takes, and the zoo run on other backends, too. "
            f"Received: backend {backend!r}"
        )


def distillation_loss(loss, features):
    """Returns the loss that `Distiller(distillation_loss=...)` names, or raises ValueError.

    It is what `losses.get` reads, or None, which leaves the feature methods alone.
    """
    if loss is None and features:
        return None
    loss = losses.get(loss)
    if loss.reduction in (None, "none"):
        raise ValueError("`distillation_loss` must reduce over the batch. Received: reduction=None")
    return loss


def check_student(student):
    """Raises ValueError where a model cannot be a student: not built, or returning no logits."""
    if not isinstance(student, keras.Model):
        raise ValueError(f"`student` must be a keras.Model. Received: student={student!r}")
    _check_logits(
        "student", student, ": give its first layer an input shape or call it once on a batch"
    )


def as_teacher(teacher, student):
    """Returns what teaches a student, called as a `keras.Model` is: the model, or a callable.

    Raises:
        ValueError: If it is neither, not built, returns no logits or other shapes than the student.
    """
    teacher = bound(teacher, student)
    if isinstance(teacher, keras.Model):
        _check_teacher(teacher, student)
        return teacher
    if isinstance(teacher, Adapted) and isinstance(teacher.teacher, keras.Model):
        _check_logits("teacher", teacher.teacher, ", with its trained weights")
    if callable(teacher) and not isinstance(teacher, type):
        return CallableTeacher(teacher, student)
    instead = ""
    if hasattr(teacher, "predict_proba"):
        instead = "; for an estimator pass keras_logitkd.from_probabilities(teacher)"
    raise ValueError(
        "`teacher` must be a keras.Model, a callable from a batch to logits, a list of them, or "
        f"None{instead}. Received: {teacher!r}"
    )


def _check_teacher(teacher, student):
    """Raises ValueError where a model cannot teach: not built, no logits, other shapes."""
    _check_logits("teacher", teacher, ", with its trained weights")
    for what, noun in (("inputs", "input shape"), ("outputs", "class count")):
        theirs, ours = _shape(teacher, what), _shape(student, what)
        if theirs and ours and not compatible(theirs, ours):
            if what == "outputs" and two_classes.differ(theirs, ours):
                two_classes.say(teacher.name, theirs[-1])
                continue
            instead = ": pass keras_logitkd.adapt(teacher, teacher_input=...), a function of the "
            instead += "student's inputs"
            if what == "outputs":
                noun = noun if theirs[:-1] == ours[:-1] else "shape of logits"
                instead = adapting(theirs, ours)
            raise ValueError(
                f"`teacher` and `student` must have the same {noun}{instead}. Received: teacher "
                f"{teacher.name!r} with {theirs}, student {student.name!r} with {ours}"
            )


def _check_logits(role, model, how_built):
    """Refuses a model that is not built, ends in no logits, or has more than one output."""
    if not model.built:
        raise ValueError(
            f"`{role}` must be built{how_built}. Received: unbuilt model {model.name!r}"
        )
    if ending := ending_of(model):
        raise ValueError(
            f"`{role}` must return logits, but it ends in a {ending}: "
            f"{advice(ending, role)}. Received: model {model.name!r}"
        )
    if is_graph(model) and not returns_tensor(model):
        instead = "keras.Model(student.inputs, student.outputs[index])"
        if role == "teacher":
            instead = "keras_logitkd.adapt(teacher, output=...)"
        raise ValueError(
            f"`{role}` must have one output, a tensor of logits: pass {instead} for one of "
            f"{names_of(model)}. Received: model {model.name!r} with {len(model.outputs)} "
            "output(s) in a structure"
        )


def classes_of(model):
    """Returns the number of logits of a model, or None where it is not known."""
    shape = _shape(model, "outputs")
    return shape[-1] if shape else None


def _shape(model, what):
    """Shape without the batch of a model's only input or output; None where unknown."""
    tensors = getattr(model, what, None)
    return tuple(tensors[0].shape[1:]) if tensors and len(tensors) == 1 else None
