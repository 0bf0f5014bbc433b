"""A training as it is about to begin."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_residual.training.inputs import Inputs
from keras_residual.training.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """What a training is made of, once the arguments of `fit` are checked.

    Attributes:
        model: The model.
        inputs: What it trains on.
        recipe: The recipe.
        epochs: Number of all epochs.
        steps: Number of steps in an epoch.
        output: Folder of the training; `None` if nothing is written.
        identity: What must stay the same for a training to go on.
        resume: Whether to go on with what the folder holds.
        loss: The loss.
        metrics: The metrics.
        callbacks: Callbacks, without those of `fit`.
        seed: Decides the order of kept outputs.
        jit_compile: As in `model.compile`.
        verbose: As in `model.fit`.
        steps_per_call: Steps in one call where batches are made in the step.
        checkpoint_seconds: Least time between two checkpoints.
    """

    model: keras.Model
    inputs: Inputs
    recipe: Recipe
    epochs: int
    steps: int
    output: Path | None
    identity: dict[str, Any]
    resume: bool
    loss: Any
    metrics: Any
    callbacks: Sequence[keras.callbacks.Callback]
    seed: int
    jit_compile: bool | str
    verbose: str | int
    steps_per_call: int | None
    checkpoint_seconds: float | None

    @property
    def data(self) -> tuple[Any, ...]:
        """Batches to train on, and to validate on or `None`."""
        return self.inputs.train, self.inputs.validation
