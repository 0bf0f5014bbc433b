"""Datasets in the files of MNIST: four arrays in IDX format, mostly packed by gzip."""

import gzip
from pathlib import Path

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.sources.arrays import from_arrays
from keras_residual.data.splits import DatasetError

FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
ACCEPTED_MNIST = f"a folder with the files of MNIST ({FILES['x_train']}, … or packed, .gz)"
_UNSIGNED_BYTES = 8


def has_mnist_files(folder: Path) -> bool:
    """Whether a folder holds at least the training images in the format of MNIST."""
    return _find(folder, FILES["x_train"]) is not None


def from_mnist_files(folder: Path) -> Dataset:
    """A dataset of MNIST's four files, as Fashion-MNIST, KMNIST and others have them, too.

    Raises:
        DatasetError: If a file is missing or damaged.
    """
    arrays = {}
    for array, name in FILES.items():
        path = _find(folder, name)
        if path is None:
            raise DatasetError(f"{folder} lacks {name}. Accepted: {ACCEPTED_MNIST}.")
        arrays[array] = _read(path)
    name = folder.resolve().name.lower().replace("-", "_")
    return from_arrays(**arrays, name=name, where=str(folder))


def _find(folder, name):
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if path.is_file()), None)


def _read(path):
    """The array in an IDX file: two zeros, the type, the rank, big-endian sizes, the values."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read()
        kind, rank = content[2], content[3]
        shape = tuple(np.frombuffer(content, ">u4", rank, offset=4).astype(int))
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
        if content[:2] != b"\0\0" or kind != _UNSIGNED_BYTES or values.size != np.prod(shape):
            raise ValueError("no IDX file of unsigned bytes, or truncated")
    # Damaged bytes make gzip, zlib and NumPy raise several kinds of exception.
    except Exception as error:
        raise DatasetError(
            f"{path} cannot be read ({error}). Accepted: {ACCEPTED_MNIST}."
        ) from error
    return values.reshape(shape)
