"""Training with rounding: what is rounded, which gradients pass, and int8 files of it."""

import keras
import numpy as np
import pytest
from support import gradients, set_sequential_weights, to_numpy

import keras_residual
from keras_residual import data, export
from keras_residual.export.rewrite.fake_quantization import FakeQuantize, QuantizedKernel

L = keras.layers


def quantizer(lowest, highest):
    layer = FakeQuantize()
    layer.build((None, 3))
    layer.lowest.assign(lowest)
    layer.highest.assign(highest)
    return layer


def test_values_are_rounded_to_a_grid_with_zero_on_it():
    layer = quantizer(-1.0, 3.0)
    values = np.linspace(-2, 4, 5000, dtype="float32")
    found = to_numpy(layer(values))
    step = 4 / 255
    assert len(np.unique(found)) == 256 and 0.0 in found
    inside = (values > -1) & (values < 3)
    assert np.abs(found - values)[inside].max() <= 0.51 * step
    np.testing.assert_allclose(found / step, np.round(found / step), atol=1e-3)
    assert found.min() == pytest.approx(-1, abs=step) and found.max() == pytest.approx(3, abs=step)


def test_gradients_pass_inside_the_range_only():
    values = np.array([[-5.0, 0.3, 5.0]], "float32")
    _, found = gradients(quantizer(-1.0, 1.0), values, training=False)
    assert found["inputs"][0, 0] == found["inputs"][0, 2] == 0 and found["inputs"][0, 1] != 0


def test_ranges_follow_the_data_in_training_only():
    layer = quantizer(-1.0, 1.0)
    layer(np.array([[-3.0, 0.0, 9.0]], "float32"), training=False)
    assert float(layer.highest) == 1.0
    layer(np.array([[-3.0, 0.0, 9.0]], "float32"), training=True)
    assert float(layer.highest) == pytest.approx(1.4)
    assert float(layer.lowest) == pytest.approx(-1.1)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras_residual.layers.Convolution(6, 3, strides=2, groups=2, use_bias=True), (2, 5, 5, 4)),
        (L.Conv2D(6, 3, dilation_rate=2), (2, 7, 7, 4)),
        (L.Dense(6), (2, 4)),
    ],
    ids=["Convolution", "Conv2D", "Dense"],
)
def test_kernels_have_255_values_and_every_weight_a_gradient(layer, shape):
    layer.build(shape)
    set_sequential_weights(layer)
    wrapped = QuantizedKernel(layer)
    kernel, limits = to_numpy(layer.kernel), to_numpy(wrapped.limits())
    rounded = np.round(kernel / (limits / 127)) * limits / 127
    assert limits.shape == (() if isinstance(layer, L.Dense) else (6,))
    inputs = np.random.default_rng(0).random(shape, np.float32)
    outputs, found = gradients(wrapped, inputs)
    layer.kernel.assign(rounded)
    np.testing.assert_allclose(outputs, to_numpy(layer(inputs)), atol=1e-5)
    assert all(np.isfinite(value).all() and value.any() for value in found.values())


def images(*shape, count=30):
    return np.random.default_rng(0).random((count, *shape), np.float32)


@pytest.mark.parametrize(
    ("options", "floating"),
    [
        ({"se_ratio": 0.5, "shortcut": "pooled", "drop_path_rate": 0.1}, set()),
        ({"activation_order": "pre"}, {"DEQUANTIZE", "QUANTIZE"}),
    ],
    ids=["post", "pre"],
)
def test_learned_ranges_are_those_of_the_int8_file(options, floating, tmp_path):
    model = keras_residual.ResNet(
        "basic", (1, 1), (8, 16), stem="conv3", stem_width=8, input_shape=(8, 8, 3), classes=5,
        **options,
    )  # fmt: skip
    set_sequential_weights(model)
    aware = export.quantization_aware(model, images(8, 8, 3))
    expected, found = (m.predict(images(8, 8, 3), verbose=0) for m in (model, aware))
    assert 0 < np.abs(expected - found).max() < 0.05
    (row,) = export.export(aware, tmp_path, "litert", "int8", images(8, 8, 3), measure=False).rows
    assert row.verification.relative < 0.02
    assert set(row.operations) & {"DEQUANTIZE", "QUANTIZE"} == floating
    aware.save(tmp_path / "aware.keras")
    loaded = keras.saving.load_model(tmp_path / "aware.keras")
    np.testing.assert_allclose(loaded.predict(images(8, 8, 3), verbose=0), found, atol=1e-6)
    with pytest.raises(export.ExportError, match='with quantization="int8" only'):
        export.export(aware, tmp_path / "new", "litert", measure=False)


def test_a_plain_network_becomes_quantization_aware(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3)(inputs)))
    x = L.MaxPooling2D()(L.Conv2D(8, 3, activation="relu")(x))
    model = keras.Model(inputs, L.Dense(4, activation="softmax")(L.Flatten()(x)))
    set_sequential_weights(model)
    aware = export.quantization_aware(model, images(8, 8, 3))
    aware.compile("sgd", "sparse_categorical_crossentropy")
    before = float(aware.layers[2].layer.kernel[0, 0, 0, 0])
    aware.fit(images(8, 8, 3), np.arange(30) % 4, verbose=0)
    assert float(aware.layers[2].layer.kernel[0, 0, 0, 0]) != before
    (row,) = export.export(aware, tmp_path, "litert", "int8", images(8, 8, 3), measure=False).rows
    assert row.verification.relative < 0.02
    assert not {"DEQUANTIZE", "QUANTIZE"} & set(row.operations)


def unbalance(model):
    """Multiplies channels inside the blocks and divides the next kernel: the same function."""
    for layer in model.layers:
        if not isinstance(layer, keras_residual.layers.ResidualStage):
            continue
        weights = layer.get_block_weights(0)
        factors = np.logspace(-1, 1, weights["conv1.norm.gamma"].size, dtype="float32")
        weights["conv1.norm.gamma"] = weights["conv1.norm.gamma"] * factors
        weights["conv1.norm.beta"] = weights["conv1.norm.beta"] * factors
        weights["conv2.conv.kernel"] = weights["conv2.conv.kernel"] / factors[:, None]
        layer.set_block_weights(0, weights)


def _accuracies(digits, folder):
    """Returns the accuracy of a network in float, as integers, and as integers trained to be so."""
    (x, y), (held_out, classes) = digits
    model = keras_residual.ResNet(
        "basic", (1, 1), (8, 8), stem="conv3", stem_width=8, input_shape=(8, 8, 1), classes=10
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(x, y, 64, 20, verbose=0)
    unbalance(model)
    options = {"evaluation_data": (held_out, classes), "measure": False, "tolerance": 2.0}

    def in_integers(model):
        (row,) = export.export(model, folder, "litert", "int8", x, **options).rows
        return row.verification.accuracy

    afterwards = in_integers(model)
    aware = export.quantization_aware(model, x)
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, 60 * (len(x) // 64))
    aware.compile(keras.optimizers.Adam(schedule), loss)
    aware.fit(x, y, 64, 60, verbose=0)
    floating = np.mean(model.predict(held_out, verbose=0).argmax(-1) == classes)
    return float(floating), afterwards, in_integers(aware)


@pytest.mark.slow
def test_accuracy_that_integers_lose_is_learned_again(tmp_path):
    dataset = data.load("digits")
    digits = [
        ((split.x / np.float32(split.scale)).astype("float32"), split.y)
        for split in (dataset.train, dataset.test)
    ]
    rows = []
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        rows.append(_accuracies(digits, tmp_path))
    floating, afterwards, aware = np.mean(rows, axis=0)
    print(f"float {floating:.4f}, int8 {afterwards:.4f}, trained for it {aware:.4f}: {rows}")
    assert afterwards < floating - 0.01
    # One image of the 360 more or less is 0.3 points of a seed.
    assert aware >= floating - 0.1 * (floating - afterwards)
