"""Trains the network of a trial by its recipe."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_residual import data, training
from keras_residual.training import Recipe
from keras_residual.training.quick_start import started_quickly


def compile_by(model: keras.Model, recipe: Recipe, steps: int, labels: str = "classes") -> None:
    """Compiles a network by its recipe, for a training of `steps` steps on a kind of labels."""
    if labels == "classes":
        loss = training.CrossEntropy(recipe.loss, recipe.label_smoothing, from_logits=False)
        metrics = ["accuracy"]
    else:
        chosen = training.objective(model, labels, recipe)
        loss, metrics = chosen.loss, list(chosen.metrics)
    loss.follows_recipe = True
    model.compile(recipe.make_optimizer(steps), loss, metrics=metrics)


def is_own_compilation(model: keras.Model) -> bool:
    """Returns whether a subclass of a space compiled the network itself."""
    return not getattr(model.loss, "follows_recipe", False)


def fit_dataset(
    model: keras.Model,
    recipe: Recipe,
    dataset: data.Dataset,
    size: tuple[int, ...],
    epochs: int,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback],
    labels: str = "classes",
) -> dict[str, list[float]]:
    """Trains on a dataset, augmented by the recipe, and returns the history.

    Args:
        model: A compiled network.
        recipe: Its recipe.
        dataset: Images or series; the `test` split is evaluated after each epoch.
        size: Height and width to which images are resized.
        epochs: Number of epochs.
        seed: Determines order and augmentation.
        callbacks: Callbacks.
        labels: Kind of the labels.
    """
    options = {**recipe.batch_options(), "image_size": size, "test_image_size": None}
    if dataset.examples != "images":
        options["image_size"] = None
    batches = dataset.batches(seed=seed, **options)
    if is_own_compilation(model):
        train, held_out = batches
        return model.fit(
            train, validation_data=held_out, epochs=epochs, callbacks=callbacks, verbose=0
        ).history
    own = {}
    if labels != "classes":
        # Batches of several labels look like those of one-hot classes.
        chosen = training.objective(model, labels, recipe)
        own = {"loss": chosen.loss, "metrics": list(chosen.metrics)}
    return training.fit(
        model, batches, recipe, None, epochs=epochs, callbacks=callbacks, verbose=0, **own
    )


def fit(
    model: keras.Model,
    recipe: Recipe,
    x,
    y,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    labels: str = "classes",
    **options: Any,
) -> dict[str, list[float]]:
    """Trains on arrays or batches and returns the history.

    Other arguments are those of `fit_dataset`.

    Args:
        x: Inputs, or batches of inputs and labels.
        y: Labels, or `None`.
        **options: Those of `model.fit`.
    """
    options = {"shuffle": y is not None, **options}
    if y is not None:
        options = {"batch_size": recipe.batch_size, **options}
    is_own = is_own_compilation(model)
    steps = math.inf if is_own else _steps(x, y, options) * max(1, epochs)
    if not is_own:
        compile_by(model, recipe, steps, labels)
    if y is not None:
        training.build(model, x[:1], y[:1])
    with started_quickly(steps):
        return model.fit(x, y, epochs=epochs, callbacks=callbacks, **options).history


def _steps(x, y, options):
    """Returns the number of steps of an epoch, which the schedule of the learning rate needs."""
    if options.get("steps_per_epoch"):
        return options["steps_per_epoch"]
    if y is not None:
        share = 1 - (options.get("validation_split") or 0.0)
        return math.ceil(math.floor(len(x) * share) / options["batch_size"])
    try:
        return max(1, len(x))
    except TypeError as error:
        raise ValueError(
            "`x` has no known number of batches, which the learning rate schedule needs: give "
            f"`steps_per_epoch`. Received: x of type {type(x).__name__}"
        ) from error
