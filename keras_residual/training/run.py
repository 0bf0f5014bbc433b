"""The checked arguments of a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_residual.training.inputs import Inputs
from keras_residual.training.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """The arguments of a training, checked by `fit`.

    Attributes:
        model: The model.
        inputs: The data that it trains on.
        recipe: The recipe.
        epochs: Number of all epochs.
        steps: Number of steps in an epoch.
        output: Folder of the training; `None` to write nothing.
        identity: Values that must not change when the training is resumed.
        resume: Whether to resume the training in the folder.
        loss: The loss.
        metrics: The metrics.
        callbacks: Callbacks, without those of `fit`.
        seed: Determines the order of cached outputs.
        jit_compile: As in `model.compile`.
        verbose: As in `model.fit`.
        steps_per_call: Steps per call if batches are made in the step.
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
        """Batches for training, and for validation or `None`."""
        return self.inputs.train, self.inputs.validation
