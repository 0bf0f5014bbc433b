"""A checkpoint: model, optimizer, random states and history in one `.keras` file."""

import os
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

from keras_residual._description import described, write_into
from keras_residual._files import replacing
from keras_residual._words import first_line
from keras_residual.training.progress import Progress, checked_progress, read_member, write_member


class CheckpointError(ValueError):
    """Raised in one line if a checkpoint is damaged or belongs to another training."""


def save(path: Path, model: keras.Model, progress: Progress) -> None:
    """Writes the checkpoint atomically, and keeps the previous one beside it.

    A process killed at any moment leaves this one or the previous one. Keras does not save the
    states of random number generators.
    """
    progress.random_states = [_numbers(state).tolist() for state in _random_states(model)]
    progress.torch_state = _torch_state()
    with replacing(path) as partial:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            write_member(archive, progress)
        if description := described(model):
            write_into(partial, description)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, before(path))


def before(path: Path) -> Path:
    """Returns the path of the previous checkpoint."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def find(path: Path, model: keras.Model | None = None) -> tuple[Path, Progress] | None:
    """Returns the last readable checkpoint with its progress, or `None` if there is no file.

    Args:
        path: Path of the newest checkpoint.
        model: The model to resume, for checks that need it.

    Raises:
        CheckpointError: If none is readable; the message is about the newest.
    """
    failed = None
    for candidate in (path, before(path)):
        if not candidate.exists():
            continue
        try:
            progress = read_progress(candidate)
            if model is not None:
                _check_random_states(candidate, model, progress)
        except CheckpointError as error:
            failed = failed or error
            continue
        if failed:
            warnings.warn(
                f"{path} is damaged. Going on from the one before, {candidate}, of epoch "
                f"{len(progress.rows)}.",
                stacklevel=2,
            )
        return candidate, progress
    if failed:
        raise failed
    return None


def read_progress(path: Path) -> Progress:
    """Returns the progress stored in a checkpoint, without loading the model."""
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            return checked_progress(read_member(archive))
    # Damaged bytes make zipfile and its decompressors raise a dozen kinds of exception.
    except Exception as error:
        raise _damaged(path, error) from error


def restore(path: Path, model: keras.Model, progress: Progress) -> None:
    """Restores the state of the checkpoint in a compiled model and its optimizer.

    Raises:
        CheckpointError: If the checkpoint belongs to another model, which is left unchanged.
    """
    model.optimizer.build(model.trainable_variables)
    earlier = [(variable, np.array(_numbers(variable))) for variable in model.variables]
    try:
        # Keras only warns about layers that the file does not have.
        with warnings.catch_warnings(action="error", category=UserWarning):
            model.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        for variable, value in earlier:
            variable.assign(value)
        raise CheckpointError(
            f"{path} belongs to another model than {model.name!r} ({first_line(error)}). "
            "Choose another output, or start over with resume=False."
        ) from error
    for state, value in zip(_random_states(model), progress.random_states, strict=True):
        state.assign(value)
    _set_torch_state(progress.torch_state)


def _check_random_states(path, model, progress):
    """Raises if the saved states do not match the generators of the model."""
    expected = [tuple(state.shape) for state in _random_states(model)]
    found = [np.shape(state) for state in progress.random_states]
    if found != expected:
        raise _damaged(path, f"random states of shapes {found}, where {expected} belong")
    for state, value in zip(_random_states(model), progress.random_states, strict=True):
        largest = np.iinfo(keras.backend.standardize_dtype(state.dtype)).max
        if max(value, default=0) > largest:
            raise _damaged(path, f"a random state of {max(value)}, more than {largest}")
    ours = len(_torch_state())
    if ours and progress.torch_state and len(progress.torch_state) != ours:
        raise _damaged(path, f"PyTorch's state has {len(progress.torch_state)} bytes, not {ours}")


def _damaged(path, reason) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a training checkpoint or is damaged ({first_line(reason)}). "
        "Start over with resume=False to replace it."
    )


def _random_states(model):
    others = {id(variable) for variable in (*model.weights, *model.metrics_variables)}
    return [variable for variable in model.variables if id(variable) not in others]


def _torch_state() -> list[int]:
    if keras.backend.backend() != "torch":
        return []
    import torch

    return torch.random.get_rng_state().tolist()


def _set_torch_state(state: list[int]) -> None:
    if keras.backend.backend() == "torch" and state:
        import torch

        torch.random.set_rng_state(torch.tensor(state, dtype=torch.uint8))


def _numbers(variable):
    return keras.ops.convert_to_numpy(variable)
