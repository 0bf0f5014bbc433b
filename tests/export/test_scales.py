"""Forms that int8 files lose least in: one scale for what is joined, norms as convolutions."""

import contextlib

import keras
import numpy as np
import pytest
from export.phone_networks import network
from keras import layers

from keras_residual import export
from keras_residual.export import _write
from keras_residual.export.formats.litert import litert
from keras_residual.export.formats.litert.schema import opened, operation_names

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)


def conversions(path):
    """Returns how many operations of a file convert 8 bits to 8 bits."""
    module, model = opened(path.read_bytes())
    names, (graph,) = operation_names(module, model), model.subgraphs
    integer = module.TensorType.INT8
    found = [op for op in graph.operators if names[op.opcodeIndex] == "QUANTIZE"]
    ends = [(graph.tensors[op.inputs[0]].type, graph.tensors[op.outputs[0]].type) for op in found]
    return ends.count((integer, integer))


def convolution(factor, activation="relu"):
    """Outputs `factor` times as large as usual, with a bias that is not negligible."""
    return layers.Conv2D(
        4,
        3,
        padding="same",
        activation=activation,
        kernel_initializer=keras.initializers.RandomUniform(-0.2 * factor, 0.3 * factor, seed=1),
        bias_initializer=keras.initializers.RandomUniform(-factor / 2, factor / 2, seed=2),
    )


def dense_network(gate=None):
    """Features of three ranges, each joined more than once, and a convolution right behind."""
    image = keras.Input((8, 8, 3))
    first = convolution(1)(image)
    second = convolution(1)(first)
    joined = layers.Concatenate()([first, second])
    third = convolution(4, gate or "relu")(layers.AveragePooling2D(1)(joined))
    joined = layers.Concatenate()([first, second, third])
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(joined)))


def written(model, folder, images):
    options = {"measure": False, "tolerance": 1.0}
    (row,) = export.export(model, folder, "litert", "int8", images, **options).rows
    return row


def test_features_that_are_joined_share_a_scale(tmp_path, monkeypatch):
    images = np.random.default_rng(0).random((16, 8, 8, 3), np.float32)
    model = dense_network()
    shared = written(model, tmp_path / "shared", images)
    monkeypatch.setattr(litert, "with_shared_scales", lambda content: content)
    plain = written(model, tmp_path / "plain", images)
    assert conversions(plain.path) >= 2 and conversions(shared.path) == 0
    assert shared.bytes < plain.bytes
    assert max(shared.verification.relative, plain.verification.relative) < 0.02


def test_a_scale_that_is_fixed_stays(tmp_path):
    """LiteRT's logistic function puts out steps of 1/256."""
    images = np.random.default_rng(0).random((16, 8, 8, 3), np.float32)
    row = written(dense_network("sigmoid"), tmp_path, images)
    assert conversions(row.path) >= 1 and row.verification.relative < 0.02


def test_normalizations_before_activations_are_convolutions(tmp_path, monkeypatch):
    """Scales of channels that differ by a hundred, of which one scale for all keeps few."""
    images = np.random.default_rng(0).random((32, 16, 16, 3), np.float32)
    model = network(activation_order="pre", depths=(2, 2), include_top=False, classes=1000)
    random = np.random.default_rng(1)
    for weight in model.weights:
        if weight.name == "gamma":
            weight.assign(10.0 ** random.uniform(-2, 0, weight.shape))
    row = written(model, tmp_path / "convolutions", images)
    assert row.operations["DEPTHWISE_CONV_2D"] >= 2 and "MUL" not in row.operations
    monkeypatch.setattr(_write, "affine_as_convolutions", contextlib.nullcontext)
    plain = written(model, tmp_path / "plain", images)
    assert plain.operations["MUL"] >= 2
    assert row.verification.relative < 0.9 * plain.verification.relative
