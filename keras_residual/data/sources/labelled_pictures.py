"""Datasets from tables of picture files."""

import warnings
from pathlib import Path
from typing import Any

from keras_residual._words import counted
from keras_residual.data.dataset import Dataset
from keras_residual.data.sources import tables
from keras_residual.data.sources.folder import SUFFIXES, check_classes_left
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.picture_files import picture_splits
from keras_residual.data.sources.rows import rows_of


def from_table(
    table: tables.Table, name: str, options: Options, parts: tuple[Any, ...] | None = None
) -> Dataset:
    """Returns a dataset of pictures from the rows of a table, see `rows_of`."""
    rows = rows_of(table, options, SUFFIXES, "picture", parts)
    _tell_of_others(table, rows.paths)
    labels = rows.labels
    fields = [([rows.paths[row] for row in part], _fields(labels, part)) for part in rows.parts]
    (train, test), left_out = picture_splits(name, fields, options)
    check_classes_left(table.where, list(labels.names), train, test)
    return Dataset(name, train, test, labels.names, left_out)


def _fields(labels, part):
    groups = None if labels.groups is None else labels.groups[part]
    return {"y": labels.y[part], "label_kind": labels.kind, "groups": groups}


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
