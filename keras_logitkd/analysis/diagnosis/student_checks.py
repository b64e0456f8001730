"""What numbers say about a student and its training: from measurements to findings.

Shares are in [0, 1]. The thresholds are where a number stops being usual; each says where it comes
from.
"""

import itertools
from statistics import fmean

from keras_logitkd.analysis.diagnosis.finding import (
    NOT_MEASURED,
    OK,
    PROBLEM,
    WARNING,
    Finding,
    percent,
)

_DEPENDENCE, _SCALE = "Gradient depends on the teacher", "Scale of the terms"

NO_DEPENDENCE = 1e-6  # rounding
LITTLE_DEPENDENCE = 0.05  # a twentieth is noise between batches
TERM_SHARE = 0.02  # of the gradient, below which a term hardly counts; alpha = 0.9 often gives 0.05
LARGE_TEMPERATURE = 10.0  # from about here KL is close to its limit at infinity (Fig. 2, Eq. 8)
SHIFT_SHARE = 0.5  # of the squared distance: independent logits have 1 / classes
LEARNED_NOTHING = 0.1  # of the way from chance to 1
RISEN = 1.5  # last loss over the lowest one: learning rates drop, so the last should be lowest
FLAT = 0.01  # of the first loss
STILL_FALLING = 0.05  # of the loss, in the last epoch and as the third fall in a row
HUGE_LOGITS = 10.0  # times the teacher's norm
CAPACITY_RATIO = 5.0  # the paper's chain begins with a ratio of 8.5 (WRN-28-4 to WRN-16-2)
LOW_AGREEMENT = 0.85  # a student that can follow its teacher agrees more, on what it was trained on


def gradient_dependence(alpha, relative_change):
    """Whether the student's gradient depends on what the teacher says.

    Args:
        alpha: weight of the distillation loss.
        relative_change: norm of the gradient's change, when examples swap their teacher logits,
            over the norm of the gradient.
    """
    numbers = {"alpha": alpha, "relative_change": relative_change}
    sentence = (
        "With the teacher's logits swapped between images, the student's gradient changes by "
        f"{percent(relative_change)} of its size."
    )
    status, advice = OK, ""
    if relative_change < NO_DEPENDENCE:
        status = PROBLEM
        sentence += " It does not depend on the teacher."
        advice = (
            f"alpha is {alpha:g}: the teacher has no weight. Use --alpha 1, or 0.9."
            if alpha == 0
            else "The teacher says the same of every image: look at its input and its training."
        )
    elif relative_change < LITTLE_DEPENDENCE:
        status, advice = WARNING, f"Raise alpha, which is {alpha:g}."
    return Finding("gradient_dependence", _DEPENDENCE, status, numbers, sentence, advice)


def term_scale(alpha, start, end):
    """Whether hard and soft term both count, where both are there.

    Args:
        alpha: weight of the distillation loss.
        start: dict with `hard` and `soft`, the two terms, and `hard_gradient` and
            `soft_gradient`, the norms of their gradients, all before they are weighted, with the
            initial weights.
        end: the same with the trained weights.
    """
    hard, soft = start["hard_gradient"], start["soft_gradient"]
    weighted = (1 - alpha) * hard + alpha * soft
    share = alpha * soft / weighted if weighted else 0.0
    balance = hard / (hard + soft) if hard + soft else 0.5
    numbers = {"alpha": alpha, "soft_share": share, "balancing_alpha": balance}
    for when, terms in (("start", start), ("end", end)):
        numbers |= {f"{name}_{when}": value for name, value in terms.items()}
    sentence = (
        f"At the start the hard term is {start['hard']:.3g} with a gradient of {hard:.3g}, the "
        f"soft term {start['soft']:.3g} with {soft:.3g}; at the end {end['hard']:.3g} with "
        f"{end['hard_gradient']:.3g} and {end['soft']:.3g} with {end['soft_gradient']:.3g}. "
    )
    status, advice = OK, ""
    if alpha in (0, 1):
        which = "soft" if alpha else "hard"
        sentence += f"At alpha = {alpha:g} the {which} term is all that counts."
    else:
        sentence += (
            f"At alpha = {alpha:g} the soft term gives {percent(share)} of the gradient; "
            f"alpha = {balance:.2g} would balance them."
        )
    if 0 < alpha < 1 and not TERM_SHARE <= share <= 1 - TERM_SHARE:
        status = WARNING
        drowned = "soft" if share < TERM_SHARE else "hard"
        advice = f"The {drowned} term hardly counts. Try --alpha {balance:.2g}, or 1."
    return Finding("term_scale", _SCALE, status, numbers, sentence, advice)


def mean_shift(temperature, delta_inf, squared_error):
    """Whether the student's logits went away from the teacher's together, which KL does not see.

    Args:
        temperature: of a kl, or None for a loss that sees a shift.
        delta_inf: mean of -(1 / 2K^2) (sum z^s - sum z^t)^2 (Eq. 8).
        squared_error: mean of (z^s - z^t)^2 over examples and classes.
    """
    share = -2 * delta_inf / squared_error if squared_error else 0.0
    numbers = {"delta_inf": delta_inf, "squared_error": squared_error, "shift_share": share}
    sentence = (
        f"delta_inf is {delta_inf:.3g}: a common shift of all logits makes up {percent(share)} of "
        f"the squared distance between student and teacher, {squared_error:.3g}."
    )
    status, advice = OK, ""
    if temperature is not None and temperature >= LARGE_TEMPERATURE and share > SHIFT_SHARE:
        status = WARNING
        advice = (
            f"KL at tau = {temperature:g} leaves the sum of the logits free. mse (--loss mse) "
            "holds it; so does a smaller temperature, in part."
        )
    return Finding("mean_shift", "Shift of the logits", status, numbers, sentence, advice)


def training_course(losses, train_accuracy, chance, logit_norm, teacher_logit_norm):
    """Whether the training went anywhere, and came to an end.

    Args:
        losses: list of the loss of each epoch, as far as its objective was the last one; not 0.
        train_accuracy: of the trained student on its training images.
        chance: accuracy of guessing, 1 / classes.
        logit_norm, teacher_logit_norm: mean Euclidean norms of their logits.
    """
    # Means over an eighth of the epochs, because single ones scatter.
    width = max(1, len(losses) // 8)
    means = [fmean(losses[end - width : end]) for end in range(width, len(losses) + 1)]
    first, lowest, last = means[0], min(means), means[-1]
    recent = losses[-4:]
    is_falling = all(later < earlier for earlier, later in itertools.pairwise(recent))
    fell = 1 - recent[-1] / recent[-2] if len(recent) > 1 else 0.0
    numbers = {
        "first_loss": first,
        "lowest_loss": lowest,
        "last_loss": last,
        "fell_in_last_epoch": fell,
        "train_accuracy": train_accuracy,
        "logit_norm": logit_norm,
        "teacher_logit_norm": teacher_logit_norm,
    }
    sentence = (
        f"The loss went from {first:.3g} to {last:.3g} in {len(losses)} epochs; the student is "
        f"right on {percent(train_accuracy)} of its training images, and its logits have the "
        f"norm {logit_norm:.3g}, the teacher's {teacher_logit_norm:.3g}."
    )
    status, advice = OK, ""
    if last > RISEN * lowest:
        status = PROBLEM
        sentence += f" It had been at {lowest:.3g}: it diverges."
        advice = "Lower --learning-rate, or let it drop earlier (--lr-drops)."
    elif train_accuracy < chance + LEARNED_NOTHING * (1 - chance):
        status, advice = PROBLEM, "It learned next to nothing: lower --learning-rate first."
    elif logit_norm > HUGE_LOGITS * teacher_logit_norm:
        status = WARNING
        advice = "The student's logits have run away: mse holds them, and so does --weight-decay."
    elif len(losses) > 2 and last > (1 - FLAT) * first:
        status, advice = WARNING, "The loss is flat: raise --learning-rate, or give more --epochs."
    elif is_falling and fell > STILL_FALLING:
        status = WARNING
        sentence += f" It was still falling, by {percent(fell)} in the last epoch."
        advice = "Give it more --epochs before anything else."
    title = "Course of the training"
    return Finding("training_course", title, status, numbers, sentence, advice)


def capacity_gap(teacher_parameters, student_parameters, train_agreement):
    """Whether the student is too small to follow this teacher.

    Args:
        teacher_parameters: trainable ones, of the largest teacher.
        student_parameters: the same of the student.
        train_agreement: share of the training images on which both choose the same class.
    """
    ratio = teacher_parameters / student_parameters
    numbers = {
        "teacher_parameters": teacher_parameters,
        "student_parameters": student_parameters,
        "ratio": ratio,
        "train_agreement": train_agreement,
    }
    sentence = (
        f"The teacher has {ratio:.1f} times the student's {student_parameters:,} parameters; they "
        f"agree on {percent(train_agreement)} of the training images."
    )
    status, advice = OK, ""
    if ratio >= CAPACITY_RATIO and train_agreement < LOW_AGREEMENT:
        status = WARNING
        advice = (
            "Give it more epochs, or a network between the two: "
            "logitkd sequential TEACHER MEDIUM:kl:3 STUDENT:mse."
        )
    return Finding("capacity_gap", "Capacity gap", status, numbers, sentence, advice)


def not_measured(check):
    """Returns the finding on "gradient_dependence" or "term_scale" where there are methods, too."""
    title = {"gradient_dependence": _DEPENDENCE, "term_scale": _SCALE}[check]
    sentence = "The run's feature methods have gradients of their own, which are not looked at."
    return Finding(check, title, NOT_MEASURED, {}, sentence)
