"""The knobs of training: optimizer, schedule, regularization."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_residual.training import Recipe
from keras_residual.tuning.knobs import Interval, Knob

# Values that suit most networks; the ranges around them span a factor of 64.
_RATES = {"sgd": 0.1, "adamw": 2e-3}
_DECAYS = {"sgd": 2e-4, "adamw": 0.02}
_OF_OPTIMIZER = ("learning_rate", "weight_decay")


# Options that mix or smooth classes.
_OF_CLASSES = ("label_smoothing", "mixup", "cutmix")


def checked_recipe(recipe: Recipe, labels: str) -> Recipe:
    """Returns the recipe if it suits the kind of labels.

    Raises:
        ValueError: If it mixes or smooths classes and the labels are numbers.
    """
    for name in _OF_CLASSES if labels == "regression" else ():
        if value := getattr(recipe, name):
            raise ValueError(
                f"`recipe` must be one without {name} where labels are numbers, not classes. "
                f"Received: {name}={value!r}"
            )
    return recipe


def recipe_knobs(
    recipe: Recipe, augmentations: tuple[str, ...], labels: str = "classes"
) -> list[Knob]:
    """Returns the knobs of training around a recipe, its own values as defaults.

    Args:
        recipe: The recipe.
        augmentations: Names of augmentations to choose from.
        labels: Kind of the labels; numbers are neither smoothed nor mixed, and several labels are
            not mixed.
    """
    knobs = [_choice("optimizer", recipe.optimizer, "sgd", "adamw")]
    for optimizer in knobs[0].choices:
        own = optimizer == recipe.optimizer
        rate = recipe.learning_rate if own else _RATES[optimizer]
        decay = (own and recipe.weight_decay) or _DECAYS[optimizer]
        for name, middle in zip(_OF_OPTIMIZER, (rate, decay), strict=True):
            around = Interval(middle / 8, middle * 8, log=True)
            knobs.append(
                Knob(f"{optimizer}_{name}", around, float(middle), "optimizer", (optimizer,))
            )
    knobs += [
        _choice("schedule", recipe.schedule, "cosine", "one_cycle", "steps"),
        _choice("warmup", recipe.warmup, 0.0, 0.1, 0.2, 0.3),
        _choice("batch_size", recipe.batch_size, 32, 64, 128),
    ]
    if labels != "regression":
        knobs.append(_choice("label_smoothing", recipe.label_smoothing, 0.0, 0.1))
    if augmentations:
        knobs.append(_choice("augmentation", recipe.augmentation, *augmentations))
    if augmentations and labels == "classes":
        with_some = tuple(name for name in knobs[-1].choices if name != "none")
        cutmix = _choice("cutmix", recipe.cutmix, 0.0, 1.0)
        condition = {"parent": "augmentation", "parent_values": with_some}
        knobs.append(dataclasses.replace(cutmix, **condition))
    return knobs


def _choice(name, default, *others):
    choices = tuple(dict.fromkeys((*others, default)))
    return Knob(name, choices if isinstance(default, str) else tuple(sorted(choices)), default)


def recipe_of(base: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Returns the recipe for the values of all knobs."""
    fields = {field.name for field in dataclasses.fields(Recipe)}
    chosen = {name: value for name, value in values.items() if name in fields}
    if chosen.get("augmentation") == "none" and "cutmix" in values:
        chosen["cutmix"] = 0.0
    for name in _OF_OPTIMIZER:
        chosen[name] = values[f"{chosen['optimizer']}_{name}"]
    return dataclasses.replace(base, **chosen)


def recipe_in_words(recipe: Recipe) -> str:
    """Returns a recipe in a few words, such as `sgd 0.1, cosine, batches of 32`."""
    extras = [f"warmup {recipe.warmup:g}" if recipe.warmup else ""]
    extras += [f"smoothing {recipe.label_smoothing:g}" if recipe.label_smoothing else ""]
    extras += ["cutmix" if recipe.cutmix else ""]
    parts = [
        f"{recipe.optimizer} {recipe.learning_rate:.2g}",
        recipe.schedule,
        f"batches of {recipe.batch_size}",
        f"decay {recipe.weight_decay:.2g}",
    ]
    return ", ".join([*parts, *filter(None, extras)])
