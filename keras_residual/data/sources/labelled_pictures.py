"""Datasets from tables of picture files."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual._words import counted
from keras_residual.data.dataset import Dataset
from keras_residual.data.sources import tables
from keras_residual.data.sources.folder import SUFFIXES, check_classes_left
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.picture_files import picture_splits
from keras_residual.data.sources.rows import check_classes, parts_of_rows


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
    paths = tables.find_files(table, files, SUFFIXES)
    _tell_of_others(table, paths)
    groups = None if group is None else np.array(table.columns[group])
    labels = y, kind, names
    if parts is None:
        parts = parts_of_rows(table, paths, labels, split, groups, options, "picture")
    check_classes(table.where, labels, parts, "pictures")
    fields = [
        ([paths[row] for row in part], _fields(y[part], kind, groups, part)) for part in parts
    ]
    (train, test), left_out = picture_splits(name, fields, options)
    check_classes_left(table.where, list(names), train, test)
    return Dataset(name, train, test, names, left_out)


def _fields(y, kind, groups, part):
    return {"y": y, "label_kind": kind, "groups": None if groups is None else groups[part]}


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
