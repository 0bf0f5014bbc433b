"""A checkpoint: model, optimizer, random states and history in one `.keras` file."""

import json
import os
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import keras

from keras_residual._files import replacing

_MEMBER = "training.json"


class CheckpointError(ValueError):
    """A checkpoint that is damaged or belongs to another training; one line says which."""


@dataclass
class Progress:
    """What has been done of a training.

    Attributes:
        settings: What identifies the training; a resumed one must have the same.
        rows: The log of each finished epoch.
        random_states: The states of the model's random number generators.
        torch_state: The state of PyTorch's, from which Keras draws dropout there.
    """

    settings: dict
    rows: list[dict[str, float]] = field(default_factory=list)
    random_states: list[list[int]] = field(default_factory=list)
    torch_state: list[int] = field(default_factory=list)


def save(path: Path, model: keras.Model, progress: Progress) -> None:
    """Writes the checkpoint whole, and keeps the one before it beside it.

    A process killed at any moment leaves this one or the one before. Keras leaves the states of
    random number generators out of its files.
    """
    progress.random_states = [_numbers(state).tolist() for state in _random_states(model)]
    progress.torch_state = _torch_state()
    with replacing(path) as partial:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(_MEMBER, json.dumps(vars(progress)))
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, before(path))


def before(path: Path) -> Path:
    """Returns where the checkpoint before that at `path` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def find(path: Path) -> tuple[Path, Progress] | None:
    """Returns the last readable checkpoint with its progress, or `None` if there is no file.

    Raises:
        CheckpointError: If none is readable; it speaks of the newest.
    """
    failed = None
    for candidate in (path, before(path)):
        if not candidate.exists():
            continue
        try:
            progress = read_progress(candidate)
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
    """Returns what a checkpoint says of its training, without loading the model."""
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            return Progress(**json.loads(archive.read(_MEMBER)))
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is no checkpoint of a training or is damaged ({_first_line(error)}). "
            "Start anew, without resuming, to replace it."
        ) from error


def restore(path: Path, model: keras.Model, progress: Progress) -> None:
    """Brings a compiled model and its optimizer to the state of the checkpoint."""
    model.optimizer.build(model.trainable_variables)
    try:
        # Keras only warns of layers that the file does not have.
        with warnings.catch_warnings(action="error", category=UserWarning):
            model.load_weights(path)
        for state, value in zip(_random_states(model), progress.random_states, strict=True):
            state.assign(value)
        _set_torch_state(progress.torch_state)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise CheckpointError(
            f"{path} belongs to another model than {model.name!r} ({_first_line(error)}). "
            "Choose another output, or start anew, without resuming."
        ) from error


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


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
