"""NumPy `.npz` archives, without pickled objects."""

import pathlib

import numpy as np

from keras_residual.weights._readers import zip_files
from keras_residual.weights.arrays import Arrays
from keras_residual.weights.errors import WeightsError


def read(path: pathlib.Path) -> Arrays:
    zip_files.check(path)
    arrays = Arrays()
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError as error:
                if "allow_pickle" not in str(error):
                    raise
                raise WeightsError(
                    f"{path}: refused: {name!r} is an array of Python objects, "
                    "which are pickled and could run code"
                ) from error
    return arrays
