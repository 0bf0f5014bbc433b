"""Representative data of every kind; NaN in them are named."""

import keras
import numpy as np
import pytest

from keras_residual.export._samples import check_finite, fitting
from keras_residual.export._signature import input_specs

IMAGES = np.random.default_rng(0).random((10, 4, 4, 3)).astype(np.float32)


def one_input():
    image = keras.Input((4, 4, 3), name="image")
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))


def two_inputs():
    image, facts = keras.Input((4, 4, 3), name="image"), keras.Input((2,), name="facts")
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model([image, facts], keras.layers.Concatenate()([pooled, facts]))


def dataset(*arrays):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays[0] if len(arrays) == 1 else arrays)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return IMAGES[2 * index : 2 * index + 2], np.zeros(2)


LABELS = np.arange(10)
KINDS = {
    "array": lambda: IMAGES,
    "list of arrays": lambda: list(IMAGES),
    "tf.data, single": lambda: dataset(IMAGES),
    "tf.data, batches with labels": lambda: dataset(IMAGES, LABELS).batch(3),
    "tf.data of dicts": lambda: dataset({"image": IMAGES, "label": LABELS}).batch(4),
    "generator": lambda: (image for image in IMAGES),
    "generator of batches": lambda: (IMAGES[i : i + 5] for i in (0, 5)),
    "TFLite's generator function": lambda: lambda: ([image[None]] for image in IMAGES),
    "TFLite's function of dicts": lambda: lambda: ({"image": image[None]} for image in IMAGES),
    "PyDataset": Batches,
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_data_of_every_kind(kind):
    model = one_input()
    found = fitting("data", model, input_specs(model), KINDS[kind]())
    np.testing.assert_array_equal(found["image"], IMAGES)


def test_a_stream_is_read_no_further_than_needed():
    model = one_input()

    def endless():
        while True:
            yield IMAGES[:3]

    found = fitting("data", model, input_specs(model), endless(), 7)
    assert found["image"].shape == (7, 4, 4, 3)


@pytest.mark.parametrize("kind", ["function", "dicts", "tuples with labels"])
def test_streams_of_several_inputs(kind):
    model, facts = two_inputs(), np.ones((10, 2), np.float32)
    data = {
        "function": lambda: ([i[None], f[None]] for i, f in zip(IMAGES, facts, strict=True)),
        "dicts": ({"facts": f, "image": i} for i, f in zip(IMAGES, facts, strict=True)),
        "tuples with labels": ((i, f) for i, f in zip(IMAGES, facts, strict=True)),
    }[kind]
    found = fitting("data", model, input_specs(model), data)
    np.testing.assert_array_equal(found["image"], IMAGES)
    np.testing.assert_array_equal(found["facts"], facts)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (iter(()), "must yield some inputs"),
        (iter([np.zeros((3, 3))]), r"must be \(n, 4, 4, 3\)"),
        (iter([{"picture": IMAGES[0]}]), "image"),
    ],
)
def test_wrong_streams_are_named(data, message):
    model = one_input()
    with pytest.raises(ValueError, match=f"`data`.*{message}"):
        fitting("data", model, input_specs(model), data)


def test_whole_numbers_are_not_cut():
    inputs = keras.Input((2,), dtype="int32", name="tokens")
    outputs = keras.layers.Dense(1)(keras.layers.Embedding(4, 2)(inputs))
    model = keras.Model(inputs, outputs)
    specs = input_specs(model)
    given = np.array([[1, 2**32 + 3]])
    with pytest.raises(
        ValueError, match=r"`d` must hold numbers that int32 holds.*1\.\.4294967299"
    ):
        fitting("d", model, specs, given)
    assert fitting("d", model, specs, given % 4)["tokens"].dtype == "int32"


def test_what_is_not_finite_is_named():
    data = {"image": IMAGES.copy()}
    data["image"][3, 0, 0, 0] = np.nan
    message = "`data` must be finite. Received: NaN in 1 of 10 inputs, the first at position 3"
    with pytest.raises(ValueError, match=message):
        check_finite("data", data)
    data["image"][3, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="infinite values in 1 of 10"):
        check_finite("data", data)
