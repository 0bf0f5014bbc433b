"""Trains the network of a trial by its recipe."""

import math
import tempfile
from collections.abc import Sequence
from typing import Any

import keras

from keras_residual import data, training
from keras_residual.training import Recipe


def compile_by(model: keras.Model, recipe: Recipe, steps: int) -> None:
    """Compiles a network by its recipe, for a training of so many steps."""
    loss = training.CrossEntropy(recipe.loss, recipe.label_smoothing, from_logits=False)
    loss.follows_recipe = True
    model.compile(recipe.make_optimizer(steps), loss, metrics=["accuracy"])


def is_own_compilation(model: keras.Model) -> bool:
    """Returns whether a subclass of a space has compiled the network in its own way."""
    return not getattr(model.loss, "follows_recipe", False)


def fit_dataset(
    model: keras.Model,
    recipe: Recipe,
    dataset: data.Dataset,
    size: tuple[int, ...],
    epochs: int,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> dict[str, list[float]]:
    """Trains on images or series, augmented as the recipe says, and returns the history.

    Args:
        model: A compiled network.
        recipe: Its recipe.
        dataset: Images; the `test` split is evaluated after each epoch.
        size: Height and width that images are brought to.
        epochs: Number of epochs.
        seed: Decides order and augmentation.
        callbacks: Callbacks.
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
    with tempfile.TemporaryDirectory() as folder:
        return training.fit(
            model,
            batches,
            recipe,
            folder,
            epochs=epochs,
            checkpoint_seconds=math.inf,
            callbacks=callbacks,
            verbose=0,
        )


def fit(
    model: keras.Model,
    recipe: Recipe,
    x,
    y,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    options: dict[str, Any],
) -> dict[str, list[float]]:
    """Trains on arrays or batches and returns the history.

    Args:
        model: A compiled network.
        recipe: Its recipe.
        x: Inputs, or batches of inputs and labels.
        y: Labels, or `None`.
        epochs: Number of epochs.
        callbacks: Callbacks.
        options: As in `model.fit`.
    """
    options = {"shuffle": y is not None, **options}
    if y is not None:
        options = {"batch_size": recipe.batch_size, **options}
    if not is_own_compilation(model):
        compile_by(model, recipe, _steps(x, y, options) * max(1, epochs))
    if y is not None:
        training.build(model, x[:1], y[:1])
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
            "`x` has no known number of batches, from which the learning rate follows: give "
            f"`steps_per_epoch` too. Received: x of type {type(x).__name__}"
        ) from error
