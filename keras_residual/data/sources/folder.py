"""Datasets from folders of images, one folder per class."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.dividing import divided
from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.files import files_below
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.picture_files import picture_splits
from keras_residual.data.splits import Split

_HELD_OUT_FOLDERS = ("test", "val", "validation", "valid")
SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Files:
    """A kind of files in folders by class.

    Attributes:
        noun: Name of the kind in the plural.
        suffixes: Accepted suffixes.
        foreign: Suffixes of files of this kind that are not supported.
        held: What the folder of a class holds.
    """

    noun: str
    suffixes: tuple[str, ...]
    foreign: set[str]
    held: str

    @property
    def accepted(self) -> str:
        """Accepted folders, for error messages."""
        return (
            f"a folder with one subfolder of {self.held} for each class, or with train/ and test/ "
            "of that form"
        )


PICTURE_FILES = Files(
    "images",
    SUFFIXES,
    {".bmp", ".gif", ".webp", ".tif", ".tiff", ".heic", ".avif", ".ppm", ".pgm"},
    "PNG or JPEG images",
)
ACCEPTED_FOLDER = PICTURE_FILES.accepted


def _classes(folder: Path, kind: Files, by_parent: bool = False) -> dict[str, list[Path]]:
    """Returns the files of each class, in sorted order."""
    classes = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if place.name.startswith("."):
            continue
        files = files_below(place)
        foreign = [path for path in files if path.suffix.lower() in kind.foreign]
        if foreign:
            accepted = ", ".join(suffix[1:].upper() for suffix in kind.suffixes)
            raise DatasetError(
                f"{foreign[0]} is not of the formats that are read, {accepted}: convert it or "
                "remove it."
            )
        found = [path for path in files if path.suffix.lower() in kind.suffixes]
        classes[place.name] = sorted({path.parent for path in found}) if by_parent else found
        if not classes[place.name]:
            raise DatasetError(
                f"{place} holds no {kind.noun}: add some or remove it. Accepted: {kind.accepted}."
            )
    return classes


def _labelled(classes: dict[str, list[Path]], names: list[str]) -> tuple[list[Path], np.ndarray]:
    files = [path for group in classes.values() for path in group]
    numbers = {name: number for number, name in enumerate(names)}
    labels = [numbers[name] for name, group in classes.items() for _ in group]
    return files, np.array(labels, np.int32)


def parts_of_folder(
    folder: Path, options: Options, kind: Files = PICTURE_FILES, by_parent: bool = False
) -> tuple[list[Any], list[str]]:
    """Returns training and held-out files with labels, and the class names."""
    there = [folder / name for name in _HELD_OUT_FOLDERS if (folder / name).is_dir()]
    is_divided = (folder / "train").is_dir()
    place = folder / "train" if is_divided else folder
    classes = _classes(place, kind, by_parent)
    if len(classes) < 2:
        raise DatasetError(
            f"{place} must hold at least 2 class folders. Received: "
            f"{', '.join(classes) or 'none'}. Accepted: {kind.accepted}."
        )
    names = list(classes)
    files, labels = _labelled(classes, names)
    if is_divided and there:
        if there[1:]:
            unused = ", ".join(str(other) for other in there[1:])
            warnings.warn(f"{unused}: not used, as {there[0]} is held out.", stacklevel=4)
        test_classes = _classes(there[0], kind, by_parent)
        unknown = sorted(set(test_classes) - set(classes))
        if unknown or not test_classes:
            raise DatasetError(
                f"{there[0]} must hold classes of {place}, by the same names: {', '.join(names)}. "
                f"Received: {', '.join(unknown) or 'none'}. Rename or remove what is not in both."
            )
        held_out = _labelled(test_classes, names)
        groups = [_groups(part, options) for part in (files, held_out[0])]
        return _with_groups([(files, labels), held_out], groups), names
    groups = _groups(files, options)
    if groups is None:
        _check_divisible(classes, place, kind)
    try:
        parts = divided(
            labels, "classes", options.test_fraction, options.seed, groups, options.held_out
        )
    except ValueError as error:
        raise DatasetError(f"{folder} holds too few {kind.noun} to divide: {error}") from error
    taken = [([files[i] for i in part], labels[part]) for part in parts]
    return _with_groups(taken, [None if groups is None else groups[part] for part in parts]), names


def _with_groups(parts, groups):
    return [
        (files, {"y": labels, "groups": names})
        for (files, labels), names in zip(parts, groups, strict=True)
    ]


def _check_divisible(classes, place, kind):
    for name, files in classes.items():
        if len(files) < 2:
            raise DatasetError(
                f"{place / name} holds too few {kind.noun}, 1, to hold one out: add more, "
                "remove the class, or give train/ and test/ folders."
            )


def _groups(files: list[Path], options: Options) -> np.ndarray | None:
    if options.group is None:
        return None
    if not callable(options.group):
        raise DatasetError(
            "`group` must be a function from a file's path to its group for a folder of images; "
            f"names of columns belong to tables. Received: group={options.group!r}"
        )
    return np.array([str(options.group(path)) for path in files])


def from_folder(folder: Path, options: Options | None = None) -> Dataset:
    """Returns a dataset of PNG and JPEG files.

    `folder/train/CLASS/...` and `folder/test/CLASS/...` (or `val`, `validation`, `valid`) if these
    exist; else `folder/CLASS/...`, of which a stratified fraction is held out. Classes are numbered
    in the order of their names. Images are greyscale if all files are, else RGB; transparency is
    dropped, and the EXIF orientation is applied. Images of one size that fit into memory become
    arrays, others are decoded on demand.

    Args:
        folder: The folder.
        options: The loading options.

    Raises:
        DatasetError: If the folder has another form or a file is damaged; the message names it.
    """
    options = options or Options()
    try:
        parts, names = parts_of_folder(folder, options)
        (train, test), left_out = picture_splits(folder.name, parts, options)
    except OSError as error:
        raise DatasetError(f"{error.filename} cannot be read ({error.strerror}).") from error
    check_classes_left(folder, names, train, test)
    return Dataset(folder.name, train, test, tuple(names), left_out)


def check_classes_left(
    where: object, names: Sequence[str], train: Split, test: Split, nouns: str = "pictures"
) -> None:
    """Raises if a class, or the held-out part, is empty without the damaged files."""
    left = set(np.unique(train.y).tolist()) if train.label_kind == "classes" else range(len(names))
    gone = [name for label, name in enumerate(names) if label not in left]
    if gone:
        raise DatasetError(f"{where}: no training {nouns} of {', '.join(gone)} are left.")
    if not len(test):
        raise DatasetError(f"{where}: no held-out {nouns} are left.")
