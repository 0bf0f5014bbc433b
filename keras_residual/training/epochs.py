"""Runs the epochs of a training in the fastest way that its batches allow."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_residual.training.flat_step import flatten_step
from keras_residual.training.loop import fit_in_step
from keras_residual.training.replicas import statistics_over_all
from keras_residual.training.steps import makes_batches_in_step
from keras_residual.training.targets import example_batch
from keras_residual.training.variables import build


def run_epochs(
    model: keras.Model,
    data: tuple[Any, ...],
    span: tuple[int, int, int],
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: str | int,
    steps_per_call: int | None = None,
) -> None:
    """Runs the epochs of `span`.

    Args:
        model: A compiled model.
        data: Training batches, or a function from the number of an epoch to them, and batches for
            validation or `None`.
        span: Number of the first epoch, number after the last, steps per epoch.
        callbacks: Callbacks of Keras.
        verbose: As in `model.fit`.
        steps_per_call: Steps per call if batches are made in the step.
    """
    (train, validation), (done, epochs, steps) = data, span
    train = _make_variables(model, train)
    if makes_batches_in_step(train):
        with statistics_over_all(model, getattr(train, "batch_size", None)):
            fit_in_step(model, train, validation, done, epochs, callbacks, verbose, steps_per_call)
        return
    flatten_step(model)
    known = not callable(train) and hasattr(train, "__len__")
    model.fit(
        train(done) if callable(train) else train,
        validation_data=validation,
        initial_epoch=done,
        epochs=epochs,
        steps_per_epoch=None if known and steps == len(train) else steps,
        shuffle=False,
        callbacks=callbacks,
        verbose=verbose,
    )


def _make_variables(model, train):
    """Creates the variables of optimizer and metrics, and returns the batches to continue with."""
    if keras.backend.backend() != "tensorflow" and not makes_batches_in_step(train):
        # Keras creates them beforehand, or it would not help.
        return train
    batch, train = example_batch(train)
    if isinstance(batch, (tuple, list)) and len(batch) in (2, 3):
        build(model, *batch)
    return train
