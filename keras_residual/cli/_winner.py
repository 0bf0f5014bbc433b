"""The best network of a search, from `best.json` to LiteRT files."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from keras_residual import data, export, training

_SAMPLES = 200
# Arguments of factories that the command sets itself, or that no search changes.
_RESERVED = {
    "classes",
    "classifier_activation",
    "data_format",
    "dtype",
    "features",
    "include_preprocessing",
    "include_top",
    "input_shape",
    "input_tensor",
    "name",
    "pooling",
    "weights",
}


@dataclasses.dataclass(frozen=True)
class Winner:
    """The content of `best.json`.

    Attributes:
        name: Name of the network that the search started from.
        options: Its options that the search changed.
        recipe: The recipe that was found with it.
    """

    name: str
    options: dict
    recipe: training.Recipe


def read(path: Path) -> Winner:
    """Returns the winner in a file, or raises a one-line ValueError."""
    if not path.is_file():
        raise ValueError(f"{path} does not exist. `keras-residual tune` writes best.json.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        options = {name: _tuples(value) for name, value in content["options"].items()}
        recipe = {name: _tuples(value) for name, value in content["recipe"].items()}
        if not isinstance(content["model"], str):
            raise TypeError("its model must be a name")
        if reserved := sorted(_RESERVED & set(options)):
            raise ValueError(f"its options hold {reserved[0]!r}, which no search changes")
        for name, value in options.items():
            if not _is_plain(value):
                raise ValueError(f"its option {name!r} is {str(value)[:60]!r}")
        return Winner(content["model"], options, training.Recipe(**recipe))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a best.json of `keras-residual tune` ({type(error).__name__}: {error})."
        ) from error


def _tuples(value):
    return tuple(value) if isinstance(value, list) else value


def _is_plain(value):
    items = value if isinstance(value, tuple) else (value,)
    return all(item is None or isinstance(item, (bool, int, float, str)) for item in items)


def export_for_phones(
    model: keras.Model,
    dataset: data.Dataset,
    size: tuple[int, int],
    output: Path,
    progress: Callable[[str], None],
) -> list[export.ExportRow]:
    """Writes LiteRT files in float32 and int8 and returns the measures of each.

    `progress` is called with each step before it begins.
    """
    batches = data.pipeline(dataset.train, batch_size=_SAMPLES, image_size=size)
    samples, _ = next(iter(batches.as_numpy_iterator()))
    reports = [
        export.export(
            model, output, ("litert",), quantization, np.asarray(samples), progress=progress
        )
        for quantization in (None, "int8")
    ]
    return [row for report in reports for row in report.rows]
