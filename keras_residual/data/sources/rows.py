"""The rows of a table of files: their labels, and which of them are held out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual.data.dividing import divided
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources import tables
from keras_residual.data.sources.options import Options


@dataclass(frozen=True)
class Labels:
    """The labels of examples.

    Attributes:
        y: Labels in the form of splits.
        kind: Their kind.
        names: A name for each class or character.
        groups: Groups that must stay together, such as speakers, or `None`.
    """

    y: np.ndarray
    kind: str
    names: tuple[str, ...]
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Rows:
    """The rows of a table.

    Attributes:
        paths: The file of each row.
        labels: The label of each row.
        parts: The rows of the training and of the held-out part.
    """

    paths: list[Path]
    labels: Labels
    parts: tuple[np.ndarray, np.ndarray]


def rows_of(
    table: tables.Table,
    options: Options,
    suffixes: Sequence[str],
    noun: str,
    parts: tuple[np.ndarray, np.ndarray] | None = None,
    labels_of: Callable[..., tuple[Any, ...]] = tables.labels_of,
    advice: str = "",
) -> Rows:
    """Returns the files, labels and parts of a table.

    Args:
        table: The table.
        options: The columns to use, and what to hold out.
        suffixes: Suffixes of the files.
        noun: The kind of files in the singular, for error messages.
        parts: The rows of both parts. Defaults to a column named `split`, or to a split by classes
            and groups, in which the rows of one file stay together.
        labels_of: Reads labels, kind and names, with the arguments of `tables.labels_of`.
        advice: What else to do about a class of a single file.

    Raises:
        DatasetError: If the rows cannot be divided, there is a single class, or a class is held
            out only.
    """
    files = tables.file_column(table, options, suffixes)
    group, split = tables.group_and_split_columns(table, options)
    y, kind, names = labels_of(table, (files, group, split), files, options)
    paths = tables.find_files(table, files, suffixes)
    groups = None if group is None else np.array(table.columns[group])
    labels = Labels(y, kind, names, groups)
    if parts is None and split is not None:
        parts = tables.parts_by_column(table, split)
    elif parts is None:
        parts = _divided(table.where, paths, labels, options, noun, advice)
    _check_classes(table.where, labels, parts, noun)
    return Rows(paths, labels, parts)


def _divided(where, paths, labels, options, noun, advice):
    y, kind, groups = labels.y, labels.kind, labels.groups
    if kind == "classes" and groups is None:
        single = [labels.names[label] for label, count in enumerate(np.bincount(y)) if count < 2]
        if single:
            raise DatasetError(
                f"{where}: {', '.join(single[:20])} has a single {noun}, of which none can be held "
                "out: add more, remove the class, or give a column split with train and "
                f"test{advice}."
            )
    if groups is None and options.held_out is None and len(set(paths)) < len(paths):
        groups = np.array([str(path) for path in paths])
    try:
        return divided(y, kind, options.test_fraction, options.seed, groups, options.held_out)
    except ValueError as error:
        raise DatasetError(f"{where} cannot be divided: {error}") from error


def _check_classes(where, labels, parts, noun):
    names = labels.names
    if labels.kind != "classes":
        return
    if len(names) < 2:
        raise DatasetError(
            f"{where}: at least 2 classes are needed to tell apart. Received: {names[0]}"
        )
    train, test = (set(labels.y[part]) for part in parts)
    if missing := sorted(names[label] for label in test - train):
        raise DatasetError(
            f"{where}: {', '.join(missing[:20])} occurs among the held-out {noun}s only: name "
            f"classes alike in both parts, or move some to the training {noun}s."
        )
