"""Dividing the rows of a table into training and held-out examples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_residual.data.dividing import divided
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources import tables
from keras_residual.data.sources.options import Options


def parts_of_rows(
    table: tables.Table,
    paths: Sequence[Path],
    labels: tuple[np.ndarray, str, Sequence[str]],
    split: str | None,
    groups: np.ndarray | None,
    options: Options,
    noun: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the training and of the held-out part.

    Rows of one file stay together.

    Args:
        table: The table.
        paths: The file of each row.
        labels: The labels of the rows, their kind and their names.
        split: The column that says which rows are held out, or `None`.
        groups: Groups that stay together, or `None`.
        options: The fraction to hold out, or the groups.
        noun: The kind of files in the singular, for error messages.

    Raises:
        DatasetError: If the rows cannot be divided, or a class is held out only.
    """
    y, kind, names = labels
    if split is not None:
        return tables.parts_by_column(table, split)
    if kind == "classes" and groups is None:
        single = [names[label] for label, count in enumerate(np.bincount(y)) if count < 2]
        if single:
            text = ", or label_kind='text' for transcripts" if noun == "recording" else ""
            raise DatasetError(
                f"{table.where}: {', '.join(single[:20])} has a single {noun}, of which none can "
                "be held out: add more, remove the class, or give a column split with train and "
                f"test{text}."
            )
    if groups is None and options.held_out is None and len(set(paths)) < len(paths):
        groups = np.array([str(path) for path in paths])
    try:
        return divided(y, kind, options.test_fraction, options.seed, groups, options.held_out)
    except ValueError as error:
        raise DatasetError(f"{table.where} cannot be divided: {error}") from error


def check_classes(
    where: str,
    labels: tuple[np.ndarray, str, Sequence[str]],
    parts: tuple[np.ndarray, np.ndarray],
    nouns: str,
) -> None:
    """Raises if a class occurs among the held-out examples only, or there is a single class.

    Args:
        where: Name of the table in error messages.
        labels: The labels of the rows, their kind and their names.
        parts: The rows of the training and of the held-out part.
        nouns: The kind of files in the plural.
    """
    y, kind, names = labels
    if kind != "classes":
        return
    if len(names) < 2:
        raise DatasetError(
            f"{where}: at least 2 classes are needed to tell apart. Received: {names[0]}"
        )
    train, test = (set(y[part]) for part in parts)
    if missing := sorted(names[label] for label in test - train):
        raise DatasetError(
            f"{where}: {', '.join(missing[:20])} occurs among the held-out {nouns} only: name "
            f"classes alike in both parts, or move some to the training {nouns}."
        )
