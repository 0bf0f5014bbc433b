"""Datasets from tables of files, pictures or recordings: CSV files and data frames."""

from pathlib import Path

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources import tables
from keras_residual.data.sources.labelled_pictures import from_table
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.sound_files import from_sound_table, names_sound_files


def from_frame(frame: object, options: Options | None = None) -> Dataset:
    """Returns a dataset from a data frame with files and their labels, see `load`."""
    options = options or Options()
    return _from_rows(tables.table_of_frame(frame, options), "frame", options)


def from_two_tables(train: Path, test: Path, options: Options) -> Dataset:
    """Returns a dataset from two CSV files with the same columns, the second held out."""
    first, second = (tables.read_table(path, options) for path in (train, test))
    if set(first.columns) != set(second.columns):
        raise DatasetError(
            f"{test} must have the columns of {train}: {', '.join(first.columns)}. "
            f"Received: {', '.join(second.columns)}"
        )
    joined = {name: [*cells, *second.columns[name]] for name, cells in first.columns.items()}
    both = tables.Table(joined, f"{train} with {test.name}", first.folder)
    rows = np.arange(len(first)), len(first) + np.arange(len(second))
    return _from_rows(both, train.parent.resolve().name, options, rows)


def from_csv(path: Path, options: Options) -> Dataset:
    """Returns a dataset from a CSV file."""
    return _from_rows(tables.read_table(path, options), path.stem, options)


def _from_rows(table, name, options, parts=None) -> Dataset:
    made = from_sound_table if names_sound_files(table, options) else from_table
    return made(table, name, options, parts)
