"""Datasets from arrays and from `.npz` files, checked before anything is built on them."""

import zipfile
from pathlib import Path

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.splits import (
    ArraySplit,
    DatasetError,
    check_images,
    check_labels,
    default_augmentation,
    stratified,
)

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")
ACCEPTED_NPZ = f"an .npz file with {', '.join(ARRAY_NAMES)} and optionally label_names"


def _class_names(label_names: object, y_train: np.ndarray, y_test: np.ndarray, where: str) -> tuple:
    """The names of the classes, once the labels are known to agree with them."""
    highest = int(max(y_train.max(), y_test.max()))
    if label_names is None:
        # Without names only the labels tell the number of classes: a stray one must not set it.
        if highest >= len(y_train) or y_test.max() > y_train.max():
            raise DatasetError(
                f"{where}: labels must lie in 0..classes - 1, each class in the training images. "
                f"Received: labels up to {y_train.max()} in {len(y_train)} training images, up to "
                f"{y_test.max()} in the test images"
            )
        label_names = [str(label) for label in range(highest + 1)]
    names = np.asarray(label_names)
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DatasetError(
            f"{where}: `label_names` must be one string a class. "
            f"Received: shape {names.shape}, dtype {names.dtype}"
        )
    if highest >= len(names):
        raise DatasetError(
            f"{where}: labels must lie in 0..{len(names) - 1}, as there are {len(names)} "
            f"label_names. Received: labels up to {highest}"
        )
    if len(names) < 2:
        raise DatasetError(f"{where}: a dataset needs at least 2 classes. Received: {len(names)}")
    return tuple(item.decode() if isinstance(item, bytes) else str(item) for item in names)


def from_arrays(
    x_train: object,
    y_train: object,
    x_test: object,
    y_test: object,
    label_names: object = None,
    *,
    name: str = "arrays",
    where: str = "arrays",
) -> Dataset:
    """A dataset of arrays in memory.

    Args:
        x_train: Training images, `(n, height, width)` or `(n, height, width, channels)`. Integers
            (uint8, uint16, or others in 0..255) are scaled by their range in a pipeline; floating
            point is taken as it is.
        y_train: Their labels, `(n,)` or `(n, 1)` integers in 0..classes - 1.
        x_test: Held-out images.
        y_test: Their labels.
        label_names: One string a class. Defaults to the labels' numbers.
        name: Name of the dataset, which may decide its default augmentation.
        where: What errors call the source, e.g. the file.

    Returns:
        A `Dataset` of `ArraySplit`s.

    Raises:
        DatasetError: If the arrays do not make a dataset; the message says which and why.
    """
    x_train, scale = check_images("x_train", x_train, where)
    x_test, test_scale = check_images("x_test", x_test, where)
    if x_train.shape[1:] != x_test.shape[1:] or scale != test_scale:
        raise DatasetError(
            f"{where}: `x_train` and `x_test` must agree in image shape and kind of number. "
            f"Received: {x_train.shape[1:]} {x_train.dtype} and {x_test.shape[1:]} {x_test.dtype}"
        )
    y_train = check_labels("y_train", y_train, len(x_train), where)
    y_test = check_labels("y_test", y_test, len(x_test), where)
    class_names = _class_names(label_names, y_train, y_test, where)
    shape = x_train.shape[1:]
    kind = {
        "image_shape": shape,
        "scale": scale,
        "augmentation": default_augmentation(name, shape),
    }
    return Dataset(
        name,
        ArraySplit(x=x_train, y=y_train, **kind),
        ArraySplit(x=x_test, y=y_test, **kind),
        class_names,
    )


def from_tuple(source: tuple, test_fraction: float, seed: int) -> Dataset:
    """A dataset of `((x_train, y_train), (x_test, y_test))`, of those four, or of `(x, y)`."""
    if len(source) == 2 and all(isinstance(part, tuple | list) for part in source):
        source = tuple(item for part in source for item in part)
    if len(source) == 2:
        x, _ = check_images("x", source[0], "arrays")
        y = check_labels("y", source[1], len(x), "arrays")
        rest, held_out = stratified(y, test_fraction, seed)
        source = (x[rest], y[rest], x[held_out], y[held_out])
    if len(source) not in (4, 5):
        raise DatasetError(
            "Arrays must be (x_train, y_train, x_test, y_test) with label_names as an optional "
            f"fifth, ((x_train, y_train), (x_test, y_test)), or (x, y). Received: {len(source)}"
        )
    return from_arrays(*source)


def from_npz(path: Path, name: str | None = None) -> Dataset:
    """A dataset of an `.npz` file with x_train, y_train, x_test, y_test and maybe label_names.

    Pickled (object) arrays are refused, as unpickling can run code.
    """
    if not path.is_file():
        raise DatasetError(f"{path} does not exist. Accepted: {ACCEPTED_NPZ}.")
    try:
        # Opened here, as NumPy leaves a damaged file open.
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise zipfile.BadZipFile("truncated, or no .npz archive")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            arrays = {key: archive[key] for key in ARRAY_NAMES if key in archive}
            names = archive.get("label_names")
            found = ", ".join(archive.files) or "nothing"
    # Damaged bytes make NumPy, zipfile and zlib raise a dozen kinds of exception.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DatasetError(
            f"{path} cannot be read ({reason}). Accepted: {ACCEPTED_NPZ}, without pickled objects."
        ) from error
    if missing := [key for key in ARRAY_NAMES if key not in arrays]:
        raise DatasetError(
            f"{path} lacks {', '.join(missing)}; it holds {found}. Accepted: {ACCEPTED_NPZ}."
        )
    return from_arrays(**arrays, label_names=names, name=name or path.stem, where=str(path))
