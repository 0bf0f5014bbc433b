"""The start of a training: from scratch, or resumed from a folder."""

import os
from pathlib import Path
from typing import Any

import keras

from keras_residual.training import checkpoint
from keras_residual.training.best import BEST
from keras_residual.training.journal import CHECKPOINT, LOG, MODEL
from keras_residual.training.progress import Progress
from keras_residual.training.recipe import Recipe


def start(
    model: keras.Model, output: Path | None, settings: dict[str, Any], resume: bool
) -> Progress:
    """Returns the progress of the training in `output`, and restores its state in the model.

    Args:
        model: A compiled model.
        output: The folder; `None` without one.
        settings: Values that identify the training.
        resume: Whether to resume the training in the folder. Otherwise its files are removed.

    Raises:
        CheckpointError: If the folder holds a damaged checkpoint or that of another training.
    """
    if output is None:
        return Progress(settings)
    path = output / CHECKPOINT
    found = checkpoint.find(path, model) if resume else None
    if found is None:
        output.mkdir(parents=True, exist_ok=True)
        for old in (path, checkpoint.before(path), *(output / name for name in (LOG, MODEL, BEST))):
            old.unlink(missing_ok=True)
        return Progress(settings)
    path, progress = found
    earlier = {**Recipe().identity(), **progress.settings}
    other = [key for key in settings if earlier.get(key) != settings[key]]
    if other:
        differences = ", ".join(
            f"{key}={earlier.get(key)!r} (now {settings[key]!r})" for key in other
        )
        raise checkpoint.CheckpointError(
            f"{output} holds a training with {differences}. Choose another output, or "
            "start over with resume=False."
        )
    checkpoint.restore(path, model, progress)
    return progress


def finished_epochs(output: str | os.PathLike[str]) -> int:
    """Returns the number of finished epochs in the checkpoint of a training in `output`.

    Args:
        output: The folder given to `fit`.

    Raises:
        CheckpointError: If the checkpoint is damaged.
    """
    found = checkpoint.find(Path(output) / CHECKPOINT)
    return len(found[1].rows) if found else 0
