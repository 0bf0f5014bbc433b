"""Datasets in MNIST's format: four arrays in IDX files, usually compressed by gzip."""

import gzip
from pathlib import Path

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources.arrays import from_arrays
from keras_residual.data.sources.options import Options

FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
ACCEPTED_MNIST = f"a folder with the files of MNIST ({FILES['x_train']}, … or packed, .gz)"
_UNSIGNED_BYTES = 8


def has_mnist_files(folder: Path) -> bool:
    """Returns whether a folder has at least the training images in the format of MNIST."""
    return _find(folder, FILES["x_train"]) is not None


def from_mnist_files(folder: Path, options: Options | None = None) -> Dataset:
    """Returns a dataset of four files in the format of MNIST, Fashion-MNIST, KMNIST and others.

    No more bytes are decompressed than a file's header declares, and none if these exceed
    `options.max_bytes`.

    Raises:
        DatasetError: If a file is missing or damaged.
    """
    options = options or Options()
    arrays, paths, room = {}, {}, options.max_bytes
    for array, name in FILES.items():
        path = _find(folder, name)
        if path is None:
            raise DatasetError(f"{folder} lacks {name}. Accepted: {ACCEPTED_MNIST}.")
        arrays[array] = _read(path, 3 if array.startswith("x") else 1, room, options.max_bytes)
        paths[array] = path.name
        room -= arrays[array].nbytes
    name = folder.resolve().name.lower().replace("-", "_")
    return from_arrays(**arrays, name=name, where=str(folder), options=options, called=paths)


def _find(folder, name):
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if path.is_file()), None)


def _read(path, rank, room, max_bytes):
    """Reads the array of an IDX file: two zeros, type, rank, big-endian sizes, values."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            start = file.read(4)
            if start[:2] != b"\0\0" or start[2:3] != bytes([_UNSIGNED_BYTES]):
                raise ValueError("no IDX file of unsigned bytes, or truncated")
            if start[3] != rank:
                raise ValueError(f"of rank {start[3]}, not {rank}")
            shape = tuple(int(side) for side in np.frombuffer(file.read(4 * rank), ">u4", rank))
            size = 1
            for side in shape:
                size *= side
            if size > room:
                raise DatasetError(
                    f"{path} declares {size:,} bytes, with which the files are more than "
                    f"max_bytes={max_bytes:,}: raise `max_bytes` if that is right."
                )
            content = file.read(size)
            if len(content) < size or file.read(1):
                raise ValueError("truncated, or longer than its header says")
    except DatasetError:
        raise
    # For damaged data gzip, zlib and NumPy raise several kinds of exception.
    except Exception as error:
        raise DatasetError(
            f"{path} cannot be read ({error}). Accepted: {ACCEPTED_MNIST}."
        ) from error
    return np.frombuffer(content, np.uint8).reshape(shape)
