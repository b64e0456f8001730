"""What numbers say about a teacher and what it is shown: from measurements to findings.

Accuracies and other shares are in [0, 1]. The thresholds are where a number stops being usual; each
says where it comes from.
"""

from keras_logitkd.analysis.diagnosis.finding import OK, PROBLEM, WARNING, Finding, percent

# Table 4's teacher knows 53.77% of its training set: there MSE was the worst objective.
POORLY_FITTED = 0.55
# So it was with Table 5's, which knows 81.16%.
BARELY_FITTED = 0.8116
SMALL_TEMPERATURE = 1.0  # up to here the paper's students of a poor teacher did best (Table 4)
# float16 stores and faster convolutions differ by about 1e-3 of the largest logit.
LOGIT_TOLERANCE = 0.01
INPUT_GAIN = 0.1  # another scale of the pixels helps so much only where theirs is wrong
VIEW_LOSS = 0.15  # training views cost a fitted teacher a few points; more, it never saw such
DISAGREEMENT = 0.2  # half of the least label noise in the paper's Figure 6


def teacher_fit(train_accuracy, test_accuracy, temperature):
    """Whether the teacher knows its training set; where not, labels beat logits (Table 4).

    Args:
        train_accuracy, test_accuracy: of the teacher.
        temperature: of the loss; inf for mse, which matches all of the logits.
    """
    numbers = {"train_accuracy": train_accuracy, "test_accuracy": test_accuracy}
    sentence = (
        f"The teacher is right on {percent(train_accuracy)} of its training images and on "
        f"{percent(test_accuracy)} of the test images."
    )
    status, advice = OK, ""
    if train_accuracy < BARELY_FITTED:
        sentence += " It is poorly fitted."
        if temperature > SMALL_TEMPERATURE:
            status = PROBLEM if train_accuracy < POORLY_FITTED else WARNING
            advice = (
                "Train the teacher longer. With this one, take kl with a small temperature "
                "(--loss kl --tau 0.5): it follows the teacher's choice and not all of its logits."
            )
        else:
            sentence += " A small temperature is right for it."
    return Finding("teacher_fit", "The teacher's fit", status, numbers, sentence, advice)


def teacher_frozen(variable_change, step_difference, store_difference=None):
    """Whether a training step leaves the teacher as it is and sees its logits of inference.

    Args:
        variable_change: largest change of a variable of a teacher in one training step.
        step_difference: largest difference between the logits that the step got and those of
            `teacher(x, training=False)`, as a share of the largest logit.
        store_difference: the same for the stored logits. Defaults to None: there are none.
    """
    numbers = {"variable_change": variable_change, "step_difference": step_difference}
    stored = "No stored logits were found to compare."
    if store_difference is not None:
        numbers["store_difference"] = store_difference
        stored = f"Stored logits differ by up to {store_difference:.1g} of the largest."
    sentence = (
        f"One training step changed the teacher's variables by {variable_change:.3g}; its logits "
        f"in the step differ from those in inference by up to {step_difference:.1g} of the largest."
    )
    status, advice = OK, ""
    if variable_change > 0 or step_difference > LOGIT_TOLERANCE:
        status = PROBLEM
        advice = (
            "A layer of the teacher ignores training=False, such as a Dropout or "
            "BatchNormalization that was called with training=True: build the teacher without it."
        )
    elif (store_difference or 0) > LOGIT_TOLERANCE:
        status = PROBLEM
        advice = "Remove the stored logits: logitkd cache prune --all. They are computed again."
    title = "Teacher frozen, in inference mode"
    return Finding("teacher_frozen", title, status, numbers, f"{sentence} {stored}", advice)


def same_input(accuracy, view_accuracy, others, normalisations):
    """Whether the teacher gets images as it knows them.

    Args:
        accuracy: of the teacher on training images as the pipeline gives them.
        view_accuracy: the same under the augmentation of the training.
        others: dict of another scale of the pixels, as text, to the accuracy with it.
        normalisations: dict of a network to what it does first to a pixel x, as text.
    """
    best = max(others, key=others.get)
    numbers = {"accuracy": accuracy, "view_accuracy": view_accuracy}
    numbers |= {f"accuracy_{name}": value for name, value in others.items()} | normalisations
    sentence = (
        f"On images as the pipeline gives them the teacher is right on {percent(accuracy)}, on "
        f"augmented ones on {percent(view_accuracy)}. Inside the networks: "
        + "; ".join(f"{name} {text}" for name, text in normalisations.items())
        + "."
    )
    status, advice = OK, ""
    if others[best] > accuracy + INPUT_GAIN:
        status = PROBLEM
        sentence += f" Given {best} instead, it is right on {percent(others[best])}."
        advice = (
            "The teacher was trained on another scale than raw pixels. Save it with that "
            f"normalisation in front ({best}), and distil again."
        )
    elif view_accuracy < accuracy - VIEW_LOSS:
        status = WARNING
        advice = "The teacher does not know such views: train it with this augmentation (--pad 0)."
    return Finding("same_input", "Same view, same normalisation", status, numbers, sentence, advice)


def label_disagreement(share, sure_share, alpha, noise=None):
    """How many of the labels that the student was told contradict the teacher.

    Args:
        share: of the training images whose label is not the teacher's choice.
        sure_share: of those on which the teacher is sure and says otherwise.
        alpha: weight of the distillation loss.
        noise: share of labels that the run made wrong itself. Defaults to None: no such noise.
    """
    numbers = {"share": share, "sure_share": sure_share, "alpha": alpha}
    sentence = (
        f"The teacher contradicts {percent(share)} of the labels, and is sure of itself on "
        f"{percent(sure_share)}."
    )
    if noise is not None:
        numbers["noise"] = noise
        sentence += f" The run made {percent(noise)} of them wrong."
    status, advice = OK, ""
    if share > DISAGREEMENT and alpha < 1:
        status = WARNING
        advice = (
            "Where labels are wrong, --alpha 1 leaves them out, and a small --tau is the safe one "
            "(Figure 6); where the teacher is wrong, train it better."
        )
    elif share > DISAGREEMENT:
        sentence += " At alpha = 1 the labels do not reach the student."
    title = "Labels against the teacher"
    return Finding("label_disagreement", title, status, numbers, sentence, advice)
