"""Time series in the `.ts` files of the UCR and UEA archives."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources.arrays import from_arrays
from keras_residual.data.sources.options import Options

ACCEPTED_TS = "NAME_TRAIN.ts beside NAME_TEST.ts, as in the UCR and UEA archives"
_TRAIN = re.compile(r"(.*)_TRAIN\.ts", re.IGNORECASE)


def ts_files(folder: Path) -> list[Path]:
    """Returns the files with training series in a folder."""
    return sorted(path for path in folder.glob("*.ts") if _TRAIN.fullmatch(path.name))


def from_ts(path: Path, options: Options | None = None) -> Dataset:
    """Returns a dataset from `NAME_TRAIN.ts` and the `NAME_TEST.ts` beside it.

    Shorter series are padded with 0 at the end, with a warning.

    Raises:
        DatasetError: If a file is missing, damaged or without labels.
    """
    options = options or Options()
    match = _TRAIN.fullmatch(path.name)
    test = path.with_name(path.name[: match.end(1)] + "_TEST.ts") if match else None
    if test is None or not test.is_file():
        raise DatasetError(f"{test or path} does not exist. Accepted: {ACCEPTED_TS}.")
    if (size := path.stat().st_size + test.stat().st_size) > options.max_bytes:
        raise DatasetError(
            f"{path} and {test.name} have {size:,} bytes, more than max_bytes={options.max_bytes:,}"
            ": raise `max_bytes` if that is right."
        )
    (train, y_train), (held_out, y_test) = _read(path), _read(test)
    channels = {len(series) for series in (*train, *held_out)}
    if len(channels) != 1:
        raise DatasetError(
            f"{path}: all series must have equally many dimensions. Received: {sorted(channels)}"
        )
    lengths = {len(channel) for series in (*train, *held_out) for channel in series}
    if len(lengths) > 1:
        warnings.warn(
            f"{path}: series of {min(lengths)} to {max(lengths)} steps were padded with 0 to the "
            "longest.",
            stacklevel=4,
        )
    arrays = [_stacked(part, max(lengths)) for part in (train, held_out)]
    words = [_labels(labels, y_train) for labels in (y_train, y_test)]
    return from_arrays(
        arrays[0],
        words[0],
        arrays[1],
        words[1],
        name=match.group(1),
        where=str(path),
        options=replace(options, examples="series"),
    )


def _labels(labels: list[str], of_training: list[str]) -> np.ndarray:
    """Returns labels as words, or as numbers for regression if some are not integers."""
    try:
        numbers = np.array([float(label) for label in of_training])
        if not (numbers == np.round(numbers)).all():
            return np.array([float(label) for label in labels])
    except ValueError:
        pass
    return np.array(labels)


def _stacked(part: list[list[np.ndarray]], length: int) -> np.ndarray:
    x = np.zeros((len(part), length, len(part[0])), np.float32)
    for number, series in enumerate(part):
        for channel, values in enumerate(series):
            x[number, : len(values), channel] = values
    return x


def _read(path: Path) -> tuple[list[list[np.ndarray]], list[str]]:
    """Returns the channels of each series, and its label."""
    examples, labels, in_data = [], [], False
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not a text file. Accepted: {ACCEPTED_TS}.") from error
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if not in_data:
            in_data = line.lower() == "@data"
            if line.lower().startswith("@timestamps true"):
                raise DatasetError(f"{path} has timestamps: resample its series to equal steps.")
            continue
        *channels, label = line.split(":")
        try:
            series = [np.array(channel.split(","), np.float32) for channel in channels]
        except ValueError as error:
            raise DatasetError(
                f"{path}, line {number}, has a value that is not a number ({error}). Fill in "
                "missing values."
            ) from error
        if not series or not label.strip():
            raise DatasetError(f"{path}, line {number}, is not a series with a label.")
        examples.append(series)
        labels.append(label.strip())
    if not examples:
        raise DatasetError(f"{path} holds no series. Accepted: {ACCEPTED_TS}.")
    return examples, labels
