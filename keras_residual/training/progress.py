"""The progress of a training, stored as `training.json` in a checkpoint."""

import json
import zipfile
from dataclasses import asdict, dataclass, field, fields
from typing import Any

_MEMBER = "training.json"
# A million epochs of ten numbers; a larger entry was not written by this package.
_MOST_BYTES = 2**28
# The largest word of a random state, and the largest float.
_LARGEST_WORD, _LARGEST = 2**64 - 1, 1e308


@dataclass
class Progress:
    """The progress of a training.

    Attributes:
        settings: Values that identify the training; a resumed one must have the same.
        rows: The log of each finished epoch.
        random_states: The states of the model's random number generators.
        torch_state: The state of PyTorch's generator, which Keras uses for dropout on PyTorch.
    """

    settings: dict[str, Any]
    rows: list[dict[str, float]] = field(default_factory=list)
    random_states: list[list[int]] = field(default_factory=list)
    torch_state: list[int] = field(default_factory=list)


def write_member(archive: zipfile.ZipFile, progress: Progress) -> None:
    """Adds a progress to a `.keras` file."""
    archive.writestr(_MEMBER, json.dumps(asdict(progress)))


def read_member(archive: zipfile.ZipFile) -> object:
    """Returns the progress in a `.keras` file as JSON values.

    Raises:
        KeyError: If there is none.
        ValueError: If it is not JSON.
    """
    if archive.getinfo(_MEMBER).file_size > _MOST_BYTES:
        raise ValueError(f"{_MEMBER} is larger than {_MOST_BYTES} bytes")
    try:
        return json.loads(archive.read(_MEMBER))
    except RecursionError as error:
        raise ValueError(f"{_MEMBER} is nested too deeply") from error


def checked_progress(content: object) -> Progress:
    """Returns the progress from JSON values.

    Raises:
        ValueError: If they are malformed; the message says where.
    """
    names = [item.name for item in fields(Progress)]
    if not isinstance(content, dict) or not {"settings", "rows"} <= content.keys() <= {*names}:
        raise ValueError(f"{_MEMBER} must be an object of {', '.join(names)}")
    progress = Progress(**content)
    if not isinstance(progress.settings, dict):
        raise ValueError(f"`settings` of {_MEMBER} must be an object")
    if not isinstance(progress.rows, list):
        raise ValueError(f"`rows` of {_MEMBER} must be a list")
    for number, row in enumerate(progress.rows, start=1):
        _check_row(row, number)
    states = progress.random_states
    if not isinstance(states, list) or not all(_are_words(s, _LARGEST_WORD) for s in states):
        raise ValueError(f"`random_states` of {_MEMBER} must be lists of whole numbers")
    if not _are_words(progress.torch_state, 255):
        raise ValueError(f"`torch_state` of {_MEMBER} must be a list of bytes")
    return progress


def _check_row(row, number):
    numbers = isinstance(row, dict) and all(
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not (isinstance(value, int) and abs(value) > _LARGEST)
        for value in row.values()
    )
    if not numbers or row.get("epoch") != number or not {"loss", "seconds"} <= row.keys():
        raise ValueError(
            f"row {number} of {_MEMBER} must be the numbers of epoch {number}, "
            "loss and seconds among them"
        )


def _are_words(value, largest) -> bool:
    return isinstance(value, list) and all(
        isinstance(word, int) and not isinstance(word, bool) and 0 <= word <= largest
        for word in value
    )
