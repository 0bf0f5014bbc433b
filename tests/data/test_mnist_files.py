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


def idx(shape, content):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + content


@pytest.mark.parametrize("packed", [True, False])
def test_no_more_is_unpacked_than_fits(tmp_path, packed):
    """A few kB that say that they are, or are, gigabytes."""
    write(tmp_path / "bomb", packed)
    path = tmp_path / "bomb" / (FILES["x_train"] + (".gz" if packed else ""))
    pack = gzip.compress if packed else bytes
    path.write_bytes(pack(idx((6000, 1000, 1000), b"")))
    with pytest.raises(
        data.DatasetError, match=r"6,000,000,000 bytes.*more than max_bytes"
    ) as error:
        data.load(tmp_path / "bomb")
    assert path.name in str(error.value)
    path.write_bytes(pack(idx((6, 3, 2), bytes(10_000_000))))
    with pytest.raises(data.DatasetError, match="longer than its header says"):
        data.load(tmp_path / "bomb")
    path.write_bytes(pack(idx((60, 3, 2), bytes(36))))
    with pytest.raises(data.DatasetError, match="truncated"):
        data.load(tmp_path / "bomb")


@pytest.mark.parametrize(
    ("array", "content", "words"),
    [
        ("x_test", idx((12,), bytes(12)), "of rank 1, not 3"),
        ("y_train", idx((6, 1), bytes(6)), "of rank 2, not 1"),
        ("y_train", idx((5,), bytes(5)), "5 labels for 6 examples"),
        ("y_test", idx((2,), bytes([0, 9])), "labels up to"),
        ("x_test", idx((2, 2, 3), bytes(12)), "must agree in shape"),
    ],
)
def test_errors_name_the_file(tmp_path, array, content, words):
    write(tmp_path / "broken", packed=False)
    (tmp_path / "broken" / FILES[array]).write_bytes(content)
    with pytest.raises(data.DatasetError, match=words) as error:
        data.load(tmp_path / "broken")
    assert words == "labels up to" or FILES[array] in str(error.value)
    assert "broken" in str(error.value)
