"""The two HDF5 layouts: keras.applications' by layer names, Keras 3's by variable paths."""

import h5py
import keras
import numpy as np
import pytest
from support import ramp
from weight_files import refusal

from keras_residual.weights import read


def small_model():
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(4, 3, name="conv1_conv"),
            keras.layers.BatchNormalization(name="conv1_bn"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(2, name="predictions"),
        ]
    )


@pytest.fixture
def model():
    model = small_model()
    model.set_weights([ramp(*w.shape, offset=i) ** 2 for i, w in enumerate(model.weights)])
    return model


def write_legacy_hdf5(model, path, root=""):
    """Writes keras.applications' layout: fixed-length names, `layer/weight:0` inside each layer."""
    with h5py.File(path, "w") as file:
        group = file.require_group(root) if root else file
        group.attrs["layer_names"] = np.array([layer.name.encode() for layer in model.layers])
        for layer in model.layers:
            names = [f"{layer.name}/{w.name}:0".encode() for w in layer.weights]
            member = group.create_group(layer.name)
            member.attrs["weight_names"] = np.array(names) if names else np.zeros(0, "S1")
            for name, weight in zip(names, layer.weights, strict=True):
                member[name.decode()] = np.asarray(weight)


@pytest.mark.parametrize("root", ["", "model_weights"])
def test_the_layout_of_keras_applications_keeps_its_order(model, tmp_path, root):
    write_legacy_hdf5(model, tmp_path / "x.h5", root)
    arrays = read(tmp_path / "x.h5")
    assert list(arrays)[:3] == [
        "conv1_conv/conv1_conv/kernel:0",
        "conv1_conv/conv1_conv/bias:0",
        "conv1_bn/conv1_bn/gamma:0",
    ]
    for array, weight in zip(arrays.values(), model.weights, strict=True):
        np.testing.assert_array_equal(array, np.asarray(weight))
    assert [entry.name for entry in arrays.layers] == [layer.name for layer in model.layers]
    assert arrays.layers[2].keys == ()
    assert arrays.layers[3].keys == tuple(arrays)[-2:]


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_legacy_files_that_keras_writes_are_read(model, tmp_path):
    model.save(tmp_path / "x.h5")
    arrays = read(tmp_path / "x.h5")
    for array, weight in zip(arrays.values(), model.weights, strict=True):
        np.testing.assert_array_equal(array, np.asarray(weight))


@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras"])
def test_files_of_keras_3_are_read(model, tmp_path, name):
    model.compile("adam", "mse")
    model.train_on_batch(ramp(1, 6, 6, 3), ramp(1, 2))
    model.save(tmp_path / name) if name == "x.keras" else model.save_weights(tmp_path / name)
    arrays = read(tmp_path / name)
    assert len(arrays) == len(model.weights)
    np.testing.assert_array_equal(arrays["layers/conv2d/vars/0"], np.asarray(model.weights[0]))
    entry = next(entry for entry in arrays.layers if entry.name == "conv1_bn")
    assert entry.path == "layers/batch_normalization"
    assert entry.keys == tuple(f"layers/batch_normalization/vars/{i}" for i in range(4))


def test_variables_come_in_numerical_order(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for index in range(12):
            file[f"layers/net/vars/{index}"] = np.full(2, index)
    assert [int(array[0]) for array in read(tmp_path / "x.h5").values()] == list(range(12))


def test_names_that_keras_splits_because_they_are_many_are_joined(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names0"] = np.array([b"b", b"a"])
        file.attrs["layer_names1"] = np.array([b"c"])
        for name in "abc":
            file.create_group(name).attrs["weight_names"] = np.array([b"w"])
            file[f"{name}/w"] = ramp(2)
    assert list(read(tmp_path / "x.h5")) == ["b/w", "a/w", "c/w"]


def test_hdf5_that_claims_more_than_it_stores_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (1 << 40,), "f4", chunks=(1 << 10,))
    assert "claims 4398046511104 bytes" in refusal(tmp_path / "x.h5")


def test_hdf5_with_other_values_or_missing_weights_is_refused(tmp_path):
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["x"] = "text"
    assert "unsupported element type" in refusal(tmp_path / "text.h5")
    with h5py.File(tmp_path / "less.h5", "w") as file:
        file.attrs["layer_names"] = np.array([b"a"])
    assert "it lists 'a', which it does not hold" in refusal(tmp_path / "less.h5")
