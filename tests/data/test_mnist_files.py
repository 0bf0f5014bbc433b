"""The files of MNIST, whole and broken."""

import gzip
import struct

import numpy as np
import pytest

from keras_residual import data
from keras_residual.data.sources.mnist_files import FILES


def write(folder, packed=True):
    """Six training and two test images of 3 x 2 pixels."""
    folder.mkdir()
    random = np.random.RandomState(0)
    arrays = {
        "x_train": random.randint(0, 256, (6, 3, 2)),
        "y_train": np.arange(6) % 2,
        "x_test": random.randint(0, 256, (2, 3, 2)),
        "y_test": np.arange(2),
    }
    for name, array in arrays.items():
        head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        content = head + array.astype("uint8").tobytes()
        path = folder / (FILES[name] + (".gz" if packed else ""))
        path.write_bytes(gzip.compress(content) if packed else content)
    return arrays


@pytest.mark.parametrize("packed", [True, False])
def test_the_files_of_mnist(packed, tmp_path):
    arrays = write(tmp_path / "Fashion-MNIST", packed)
    dataset = data.load(tmp_path / "Fashion-MNIST")
    assert (dataset.name, dataset.num_classes) == ("fashion_mnist", 2)
    assert dataset.image_shape == (3, 2, 1) and dataset.train.augmentation == "cifar"
    np.testing.assert_array_equal(dataset.train.x[..., 0], arrays["x_train"])
    np.testing.assert_array_equal(dataset.test.x[..., 0], arrays["x_test"])
    np.testing.assert_array_equal(dataset.train.y, arrays["y_train"])
    np.testing.assert_array_equal(dataset.test.y, arrays["y_test"])


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda path: path.unlink(), "lacks t10k-labels"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "truncated"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(b"\1" + path.read_bytes()[1:]), "no IDX file"),
    ],
)
def test_missing_and_damaged_files_are_named(break_it, message, tmp_path):
    write(tmp_path / "broken", packed=False)
    break_it(tmp_path / "broken" / FILES["y_test"])
    with pytest.raises(data.DatasetError, match=message) as error:
        data.load(tmp_path / "broken")
    assert "broken" in str(error.value) and "\n" not in str(error.value)
