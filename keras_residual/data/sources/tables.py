"""Tables of files with labels: CSV files and data frames, as for `flow_from_dataframe`."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual._words import counted
from keras_residual.data.errors import DatasetError
from keras_residual.data.labels import check_labels
from keras_residual.data.sources.options import Options

ACCEPTED_TABLE = (
    "a .csv file with a column of file names and one of labels (words or numbers), or several "
    "columns of 0 and 1 or of numbers"
)
FILE_COLUMNS = ("file", "filename", "file_name", "path", "filepath", "image", "image_path", "id")
_GROUP_COLUMNS = ("group", "groups")
_SPLIT_COLUMNS = ("split", "subset", "set")
HELD_OUT = ("test", "val", "validation", "valid")
_SEPARATORS = "|;"
_DELIMITERS = ",;\t"
_LARGEST_BYTES = 2**28
_SHOWN = 5


@dataclass(frozen=True)
class Table:
    """A table with columns of text.

    Attributes:
        columns: The cells of each column, stripped.
        where: Name of the table in error messages.
        folder: Folder of the files.
    """

    columns: dict[str, list[str]]
    where: str
    folder: Path

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def column(self, name: str, argument: str) -> list[str]:
        """Returns a column that an argument names."""
        if name not in self.columns:
            raise DatasetError(
                f"{self.where} has no column {name!r} for `{argument}`. "
                f"Received: columns {', '.join(self.columns)}"
            )
        return self.columns[name]


def read_table(path: Path, options: Options) -> Table:
    """Returns the columns of a CSV file with a header line.

    Raises:
        DatasetError: If it is not such a file.
    """
    if path.stat().st_size > _LARGEST_BYTES:
        raise DatasetError(f"{path} has more than {_LARGEST_BYTES:,} bytes: divide it.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not text in UTF-8: save it as such. ({error})") from error
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DatasetError(
            f"{path} is not a CSV file ({error}). Accepted: {ACCEPTED_TABLE}."
        ) from error
    rows = [(line, row) for line, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise DatasetError(f"{path} holds no rows below its names. Accepted: {ACCEPTED_TABLE}.")
    names = [name.strip() for name in rows[0][1]]
    if len(set(names)) < len(names) or "" in names[1:]:
        raise DatasetError(f"{path} must name each column once. Received: {', '.join(names)}")
    for line, row in rows[1:]:
        if len(row) != len(names):
            raise DatasetError(
                f"{path}, line {line}, has {len(row)} cells where the first line has {len(names)}."
            )
    cells = {name: [row[i].strip() for _, row in rows[1:]] for i, name in enumerate(names)}
    # The index column that pandas writes has no name.
    cells.pop("", None)
    folder = path.parent if options.folder is None else Path(options.folder).expanduser()
    return Table(cells, str(path), folder)


def table_of_frame(frame: object, options: Options) -> Table:
    """Returns the columns of a data frame of pandas or a similar library."""
    columns = {}
    for name in frame.columns:
        values = list(frame[name])
        # Only missing values (NaN) differ from themselves.
        columns[str(name)] = ["" if v is None or v != v else str(v).strip() for v in values]
    if not columns or not next(iter(columns.values())):
        raise DatasetError(f"The data frame holds no rows. Accepted: {ACCEPTED_TABLE}.")
    return Table(columns, "The data frame", Path(options.folder or ".").expanduser())


def file_column(table: Table, options: Options, suffixes: Sequence[str]) -> str:
    """Returns the name of the column with the files."""
    if options.files is not None:
        table.column(options.files, "files")
        return options.files
    named = [name for name in table.columns if name.lower() in FILE_COLUMNS]
    known = [
        name for name, cells in table.columns.items() if cells[0].lower().endswith(tuple(suffixes))
    ]
    found = known or named
    if len(found) != 1:
        raise DatasetError(
            f"{table.where}: name the column of file names as `files`. "
            f"Received: columns {', '.join(table.columns)}"
        )
    return found[0]


def special_column(table: Table, asked: object, usual: Sequence[str]) -> str | None:
    """Returns the name of the requested column, or of one with a usual name, if there is one."""
    if isinstance(asked, str):
        table.column(asked, "group")
        return asked
    return next((name for name in table.columns if name.lower() in usual), None)


def group_and_split_columns(table: Table, options: Options) -> tuple[str | None, str | None]:
    """Returns the names of the columns with groups and with train or test, or `None`."""
    split = special_column(table, None, _SPLIT_COLUMNS)
    return special_column(table, options.group, _GROUP_COLUMNS), split


def find_files(table: Table, column: str, suffixes: Sequence[str]) -> list[Path]:
    """Returns the file of each row, adding a usual suffix if the table omits it.

    Raises:
        DatasetError: If files are missing; the message names them.
    """
    found, missing = [], []
    for name in table.columns[column]:
        path = table.folder / name
        if name and not path.is_file():
            path = next((p for s in suffixes if (p := table.folder / f"{name}{s}").is_file()), path)
        (found if name and path.is_file() else missing).append(path)
    if missing:
        raise DatasetError(
            f"{table.where}: {_some(missing)} of {counted(len(table), 'file')} in column "
            f"{column!r} "
            f"{'does' if len(missing) == 1 else 'do'} not exist: correct the names, or give "
            "the files' folder as `folder`."
        )
    return found


def _some(items: Sequence[Any]) -> str:
    shown = ", ".join(str(item) for item in items[:_SHOWN])
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{len(items)} ({shown}{more})"


def labels_of(
    table: Table, used: Sequence[str | None], files: str, options: Options
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Returns the labels of the rows, their kind, and a name for each class, label or number.

    Args:
        table: The table.
        used: Columns that are not labels.
        files: The column whose cells name the rows in error messages.
        options: The columns and the kind of the labels.
    """
    asked = [options.labels] if isinstance(options.labels, str) else options.labels
    columns = list(asked or [name for name in table.columns if name not in used])
    if not columns:
        raise DatasetError(f"{table.where} has no column of labels. Accepted: {ACCEPTED_TABLE}.")
    for name in columns:
        cells = table.column(name, "labels")
        empty = [table.columns[files][i] for i, cell in enumerate(cells) if cell == ""]
        if empty:
            raise DatasetError(
                f"{table.where}: column {name!r} has no label for {_some(empty)} of {len(table)} "
                "files: fill it in or remove the rows."
            )
    numbers = [_numbers(table.columns[name]) for name in columns]
    in_words = [name for name, column in zip(columns, numbers, strict=True) if column is None]
    if not in_words:
        return _of_numbers(table, columns, numbers, options)
    if len(columns) > 1:
        raise DatasetError(
            f"{table.where}: name the columns of labels as `labels`; several must hold "
            f"numbers, which {', '.join(in_words)} does not. Received: columns {', '.join(columns)}"
        )
    if options.label_kind == "regression":
        raise DatasetError(f"{table.where}: column {columns[0]!r} does not hold numbers.")
    return _of_words(table.columns[columns[0]], options)


def _numbers(cells: list[str]) -> np.ndarray | None:
    try:
        # Class numbers are written as 7, measurements as 7.0.
        if all(cell.lstrip("+-").isdigit() for cell in cells):
            return np.array([int(cell) for cell in cells], np.int64)
        return np.array([float(cell) for cell in cells])
    except (ValueError, OverflowError):
        return None


def _of_numbers(table, columns, numbers, options):
    where, kind = table.where, options.label_kind
    y = np.stack(numbers, axis=1)
    if len(columns) > 1:
        y, kind = check_labels("labels", y, len(y), where, kind)
        return y, kind, tuple(columns)
    if kind == "auto" and y.dtype.kind == "i":
        _check_counted(table, columns[0], y[:, 0])
        kind = "classes"
    if kind == "classes":
        found, y = np.unique(y[:, 0], return_inverse=True)
        names = [f"{value:g}" if y.dtype.kind == "f" else str(value) for value in found]
        return y.astype(np.int32), kind, tuple(names)
    y, kind = check_labels(columns[0], y, len(y), where, kind)
    return y, kind, tuple(columns)


def _check_counted(table, name, values):
    """Raises for integers that may be measurements, such as ages or prices."""
    found = np.unique(values)
    if found.min() in (0, 1) and len(found) == found.max() - found.min() + 1 <= len(values) / 2:
        return
    raise DatasetError(
        f"{table.where}: column {name!r} holds whole numbers that may be classes or measurements: "
        f"give label_kind='classes' or label_kind='regression'. Received: {len(found)} different "
        f"numbers, {found.min()}..{found.max()}"
    )


def _of_words(cells, options):
    kind = options.label_kind
    separator = next((s for s in _SEPARATORS if any(s in cell for cell in cells)), None)
    if kind != "classes" and (separator or kind == "multi_label"):
        several = [{word.strip() for word in cell.split(separator)} - {""} for cell in cells]
        names = sorted(set().union(*several))
        y = np.array([[name in words for name in names] for words in several], np.float32)
        return y, "multi_label", tuple(names)
    names, y = np.unique(np.array(cells), return_inverse=True)
    return y.astype(np.int32), "classes", tuple(str(name) for name in names)


def parts_by_column(table: Table, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the training and of the held-out part, by the values of a column."""
    words = np.array([cell.lower() for cell in table.columns[column]])
    unknown = sorted(set(words) - {"train", "training", *HELD_OUT})
    train = np.flatnonzero(np.isin(words, ("train", "training")))
    held_out = next((rows for name in HELD_OUT if len(rows := np.flatnonzero(words == name))), [])
    if unknown or not len(train) or not len(held_out):
        raise DatasetError(
            f"{table.where}: column {column!r} must hold train and one of {', '.join(HELD_OUT)}. "
            f"Received: {', '.join(sorted(set(words))[:20])}"
        )
    return train, held_out


def is_frame(source: object) -> bool:
    """Returns whether an object is a data frame."""
    return (
        hasattr(source, "columns")
        and hasattr(source, "__getitem__")
        and not isinstance(source, str | os.PathLike)
    )
