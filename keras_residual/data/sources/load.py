"""From the name of a dataset, a file, a folder or arrays to a `Dataset`."""

import os
from pathlib import Path
from typing import Any

from keras_residual import _checks
from keras_residual.data.dataset import Dataset
from keras_residual.data.sources.arrays import ACCEPTED_NPZ, from_npz, from_tuple
from keras_residual.data.sources.digits import digits
from keras_residual.data.sources.folder import ACCEPTED_FOLDER, from_folder
from keras_residual.data.sources.mnist_files import (
    ACCEPTED_MNIST,
    from_mnist_files,
    has_mnist_files,
)
from keras_residual.data.sources.tfds import from_builder, from_tfds
from keras_residual.data.splits import DatasetError

ACCEPTED = (
    f"'digits', a TFDS name such as 'cifar10', {ACCEPTED_NPZ}, {ACCEPTED_FOLDER}, "
    f"{ACCEPTED_MNIST}, or a tuple of arrays"
)


def npz_places(name: str) -> list[Path]:
    """The `.npz` files that stand for the dataset `name`, in the order in which they are tried.

    `$KERAS_RESIDUAL_DATA/NAME.npz`, then `~/.keras/datasets/NAME.npz` (under `$KERAS_HOME` if that
    is set).
    """
    own = os.environ.get("KERAS_RESIDUAL_DATA")
    keras_home = os.environ.get("KERAS_HOME", "~/.keras")
    folders = [*([own] if own else []), os.path.join(keras_home, "datasets")]
    return [Path(folder).expanduser() / f"{name}.npz" for folder in folders]


def _from_path_or_name(
    source: str | os.PathLike,
    data_dir: str | os.PathLike | None,
    test_fraction: float,
    seed: int,
) -> Dataset:
    name = os.fspath(source)
    path = Path(name).expanduser()
    if path.suffix == ".npz":
        return from_npz(path)
    if path.is_dir() and has_mnist_files(path):
        return from_mnist_files(path)
    if path.is_dir():
        return from_folder(path, test_fraction, seed)
    if path.is_file():
        raise DatasetError(f"{path} is not a dataset. Accepted: {ACCEPTED}.")
    if not isinstance(source, str) or path.is_absolute() or name.startswith((".", "~")):
        raise DatasetError(f"{path} does not exist. Accepted: {ACCEPTED}.")
    places = npz_places(name)
    for place in places:
        if place.is_file():
            return from_npz(place, name)
    return from_tfds(name, data_dir, test_fraction, places)


def load(
    source: Any,
    *,
    data_dir: str | os.PathLike | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """A dataset from its name, a file, a folder, a TFDS builder or arrays.

    Args:
        source: One of
            - `"digits"`: the 1,797 scans that come with the package;
            - a name, e.g. `"cifar10"`, `"cifar100"`, `"mnist"`, `"fashion_mnist"`: the file
              `$KERAS_RESIDUAL_DATA/NAME.npz` or `~/.keras/datasets/NAME.npz` if there is one, else
              the TensorFlow dataset of that name, from its prepared data or by download. Without a
              network the answer takes no longer than 5 seconds;
            - the path of an `.npz` file with `x_train`, `y_train`, `x_test`, `y_test` and
              optionally `label_names`; pickled objects in it are refused;
            - the path of a folder of PNG or JPEG files, `train/CLASS/...` and `test/CLASS/...` or
              only `CLASS/...`; a folder that is there goes before a dataset of that name, except
              `"digits"`;
            - the path of a folder with the four files of MNIST or of a dataset in its format, such
              as Debian's `/usr/share/datasets/fashion-mnist`;
            - a `tfds.core.DatasetBuilder`;
            - arrays: `(x_train, y_train, x_test, y_test)` with the class names as an optional
              fifth, `((x_train, y_train), (x_test, y_test))`, or `(x, y)`;
            - a `Dataset`, returned as it is.
        data_dir: Where TensorFlow Datasets keeps prepared data. Defaults to its own place.
        test_fraction: Number in (0, 1), the share held out from a source that has no test images
            of its own; every class in proportion.
        seed: Integer, decides which images these are.

    Returns:
        A `Dataset` with `train`, `test`, `class_names`, `num_classes` and `image_shape`.

    Raises:
        DatasetError: A `ValueError` of one line, if the source is missing, damaged or not of an
            accepted form.
        ImportError: If a TFDS name is given and TensorFlow Datasets is not installed.

    Example:

    >>> dataset = load("digits")
    >>> len(dataset.train), len(dataset.test), dataset.image_shape
    (1437, 360, (8, 8, 1))
    """
    _checks.integer("seed", seed, 0)
    if _checks.real("test_fraction", test_fraction, 0, 1, open_end=True) == 0:
        raise ValueError(
            f"`test_fraction` must be more than 0. Received: test_fraction={test_fraction!r}"
        )
    if isinstance(source, Dataset):
        return source
    if isinstance(source, str) and source == "digits":
        return digits()
    if isinstance(source, tuple | list):
        return from_tuple(tuple(source), test_fraction, seed)
    if isinstance(source, str | os.PathLike) and source != "":
        return _from_path_or_name(source, data_dir, test_fraction, seed)
    if hasattr(source, "download_and_prepare"):
        return from_builder(source, test_fraction)
    raise DatasetError(f"Unknown kind of dataset: {source!r}. Accepted: {ACCEPTED}.")
