"""Datasets from tables of picture files."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual._words import counted
from keras_residual.data.dataset import Dataset
from keras_residual.data.dividing import divided
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources import tables
from keras_residual.data.sources.folder import SUFFIXES, check_classes_left
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.picture_files import picture_splits


def from_frame(frame: object, options: Options | None = None) -> Dataset:
    """Returns a dataset from a data frame with pictures and their labels, see `load`."""
    options = options or Options()
    return from_table(tables.table_of_frame(frame, options), "frame", options)


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
    return from_table(both, train.parent.resolve().name, options, rows)


def from_table(
    table: tables.Table, name: str, options: Options, parts: tuple[Any, ...] | None = None
) -> Dataset:
    """Returns a dataset of pictures from the rows of a table.

    Args:
        table: The table.
        name: Name of the dataset.
        options: The columns to use, and other loading options.
        parts: The rows of the training and of the held-out part. Defaults to a column named
            `split`, or to a split by classes and groups.
    """
    files = tables.file_column(table, options, SUFFIXES)
    group, split = tables.group_and_split_columns(table, options)
    y, kind, names = tables.labels_of(table, (files, group, split), files, options)
    if kind == "classes" and len(names) < 2:
        raise DatasetError(
            f"{table.where}: at least 2 classes are needed to tell apart. Received: {names[0]}"
        )
    paths = tables.find_files(table, files, SUFFIXES)
    _tell_of_others(table, paths)
    groups = None if group is None else np.array(table.columns[group])
    if parts is None:
        parts = _parts(table, split, y, kind, names, groups, options)
    _check_classes(table, y, kind, names, parts)
    fields = [
        ([paths[row] for row in part], _fields(y[part], kind, groups, part)) for part in parts
    ]
    (train, test), left_out = picture_splits(name, fields, options)
    check_classes_left(table.where, list(names), train, test)
    return Dataset(name, train, test, names, left_out)


def _fields(y, kind, groups, part):
    return {"y": y, "label_kind": kind, "groups": None if groups is None else groups[part]}


def _parts(table, split, y, kind, names, groups, options):
    if split is not None:
        return tables.parts_by_column(table, split)
    if kind == "classes" and groups is None:
        single = [names[label] for label, count in enumerate(np.bincount(y)) if count < 2]
        if single:
            raise DatasetError(
                f"{table.where}: {', '.join(single[:20])} has a single picture, of which none can "
                "be held out: add more, remove the class, or give a column split with train and "
                "test."
            )
    try:
        return divided(y, kind, options.test_fraction, options.seed, groups, options.held_out)
    except ValueError as error:
        raise DatasetError(f"{table.where} cannot be divided: {error}") from error


def _check_classes(table, y, kind, names, parts):
    if kind == "classes":
        train, test = (set(y[part]) for part in parts)
        if missing := sorted(names[label] for label in test - train):
            raise DatasetError(
                f"{table.where}: {', '.join(missing[:20])} occurs among the held-out pictures "
                "only: name classes alike in both parts, or move some to the training pictures."
            )


def _tell_of_others(table: tables.Table, paths: list[Path]) -> None:
    """Warns about pictures in the same folders that have no row in the table."""
    listed = {path.resolve() for path in paths}
    beside = {path for place in {path.parent for path in paths} for path in place.iterdir()}
    others = sorted(
        path.name
        for path in beside
        if path.suffix.lower() in SUFFIXES and path.resolve() not in listed
    )
    if others:
        shown = ", ".join(others[:5]) + (" …" if len(others) > 5 else "")
        warnings.warn(
            f"{table.where} has no row for {counted(len(others), 'picture')} beside those that it "
            "names "
            f"({shown}): left out.",
            stacklevel=5,
        )
