"""The loss and the metrics implied by a model's output and the kind of its labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_residual import _checks
from keras_residual.training.ctc import CTC
from keras_residual.training.error_rates import CharacterErrorRate
from keras_residual.training.heads import Head, head_of
from keras_residual.training.losses import Accuracy, CrossEntropy
from keras_residual.training.recipe import Recipe
from keras_residual.training.recipes import find_recipe
from keras_residual.training.targets import KINDS


@dataclass(frozen=True)
class Objective:
    """The loss and the metrics of a training.

    Attributes:
        kind: The kind of the labels, one of `"classes"`, `"one_hot"`, `"multi_label"`,
            `"regression"` and `"text"`.
        loss: A Keras loss.
        metrics: Metrics, the most important one first.
    """

    kind: str
    loss: keras.losses.Loss
    metrics: tuple[Any, ...]


def objective(
    model: keras.Model,
    kind: str,
    recipe: Recipe | str | None = None,
    class_weights: Sequence[float] | None = None,
) -> Objective:
    """Returns the loss and the metrics for a model and a kind of labels.

    | kind | label of an example | last activation | loss | metrics |
    |---|---|---|---|---|
    | `"classes"` | number of its class | softmax or none | cross-entropy | accuracy |
    | `"one_hot"` | proportion of each class | softmax or none | cross-entropy | accuracy |
    | `"multi_label"` | 0 or 1 per unit | sigmoid or none | binary cross-entropy | accuracy, AUC |
    | `"regression"` | number per unit | any but softmax | squared error | absolute error |
    | `"text"` | sequence of classes, unaligned | none | CTC | character error rate |

    Maps, such as those of segmentation, have a label for each position. A recipe with
    `loss="binary_cross_entropy"` treats classes independently, which requires sigmoid or none.

    Args:
        model: A model with one output.
        kind: The kind of the labels.
        recipe: A `Recipe` or the name of one, for smoothed and mixed labels.
        class_weights: Optional weight of each class in the loss.

    Returns:
        An `Objective`.

    Raises:
        ValueError: If the kind does not match the output or the recipe.

    Example:

    >>> network = keras_residual.ResNet8(classes=3, classifier_activation="sigmoid")
    >>> objective(network, "multi_label").loss.from_logits
    False
    """
    recipe = Recipe() if recipe is None else find_recipe(recipe)
    head = head_of(model)
    _checks.choice("kind", kind, KINDS)
    if kind in ("classes", "one_hot"):
        return _of_classes(head, kind, recipe, class_weights)
    if class_weights is not None:
        raise ValueError(
            "`class_weights` needs labels that say which one class an example has. "
            f"Received: labels of the kind {kind!r}"
        )
    made = {"multi_label": _of_several, "regression": _of_numbers, "text": _of_text}
    return made[kind](head, recipe)


def accuracy_of(chosen: Objective):
    """Returns the metric for `"accuracy"`.

    Raises:
        ValueError: If there is none for the kind of labels.
    """
    others = {"regression": "numbers, such as 'mean_absolute_error'"}
    others["text"] = "transcripts, such as `training.CharacterErrorRate()`"
    if chosen.kind in others:
        raise ValueError(
            "`metrics` must be others than accuracy where labels are "
            f"{others[chosen.kind]}. Received: 'accuracy'"
        )
    return chosen.metrics[0]


def mixes(recipe: Recipe) -> bool:
    """Returns whether the labels of a recipe's training images are proportions of classes."""
    return bool(recipe.mixup or recipe.cutmix)


def _of_classes(head: Head, kind: str, recipe: Recipe, class_weights) -> Objective:
    binary = recipe.loss == "binary_cross_entropy"
    if head.units == 1:
        raise _refusal(head, "classes", "one unit cannot tell classes apart; labels of 0 and 1")
    if binary and head.activation == "softmax":
        raise ValueError(
            "`binary_cross_entropy` needs a model that outputs logits: make it with "
            f"classifier_activation=None. Received: {head}"
        )
    accepted = ("softmax", "linear", "sigmoid") if binary else ("softmax", "linear")
    if head.activation not in accepted:
        advice = "a softmax or no activation suits them, and for each class for itself a recipe "
        raise _refusal(head, kind, f"{advice}with loss='binary_cross_entropy'")
    plain = not (binary or recipe.label_smoothing or mixes(recipe) or class_weights)
    if kind == "classes" and plain:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=head.is_logits)
        return Objective(kind, loss, ("accuracy",))
    loss = CrossEntropy(
        recipe.loss,
        recipe.label_smoothing,
        from_logits=head.is_logits,
        class_weights=class_weights,
    )
    return Objective(kind, loss, (Accuracy(),))


def _of_several(head: Head, recipe: Recipe) -> Objective:
    if head.activation not in ("sigmoid", "linear"):
        raise _refusal(head, "multi_label", "a sigmoid or no activation suits them")
    loss = keras.losses.BinaryCrossentropy(
        from_logits=head.is_logits, label_smoothing=recipe.label_smoothing
    )
    right = keras.metrics.BinaryAccuracy(
        "accuracy" if head.units == 1 else "binary_accuracy",
        threshold=0.0 if head.is_logits else 0.5,
    )
    # Averaged over the labels, if an example has no other axes.
    several = {"multi_label": True, "num_labels": head.units} if len(head.shape) == 2 else {}
    area = keras.metrics.AUC(name="auc", from_logits=head.is_logits, **several)
    return Objective("multi_label", loss, (right, area))


def _of_numbers(head: Head, recipe: Recipe) -> Objective:
    if head.activation == "softmax":
        raise _refusal(head, "regression", "numbers need a model made with no activation")
    _refuse_shares_of_classes(recipe, "numbers")
    error = keras.metrics.MeanAbsoluteError("mean_absolute_error")
    return Objective("regression", keras.losses.MeanSquaredError(), (error,))


def _of_text(head: Head, recipe: Recipe) -> Objective:
    if head.activation != "linear" or len(head.shape) != 3:
        raise _refusal(head, "text", "logits at each step suit them, (batch, steps, classes + 1)")
    _refuse_shares_of_classes(recipe, "transcripts")
    # Examples that augmentation made too short for their labels do not count.
    return Objective("text", CTC(zero_infinity=True), (CharacterErrorRate(),))


def _refuse_shares_of_classes(recipe: Recipe, labels: str) -> None:
    for name in ("label_smoothing", "mixup", "cutmix"):
        if value := getattr(recipe, name):
            raise ValueError(
                f"`recipe` must be one without {name} where labels are {labels}, not classes. "
                f"Received: {name}={value!r}"
            )
    if recipe.loss != "cross_entropy":
        raise ValueError(
            f"`recipe` must be one without a loss for classes where labels are {labels}. "
            f"Received: loss={recipe.loss!r}"
        )


def _refusal(head, kind, reason) -> ValueError:
    return ValueError(
        f"`loss` does not follow from labels of the kind {kind!r} and {head}: {reason}. Change one "
        "of them or pass `loss`. Received: loss=None"
    )
