"""Quantized and LoRA-adapted networks: what they compute, their files, what export merges."""

import keras
import numpy as np
import pytest
from support import ramp, run, set_sequential_weights, to_numpy

import keras_residual
from keras_residual.export import fold
from keras_residual.layers import Convolution

SMALL = {"stem": "conv3", "stem_width": 4, "input_shape": (8, 8, 3), "classes": 3}


def residual(**options):
    return keras_residual.ResNet("basic", (3, 1), (4, 8), se_ratio=0.5, **{**SMALL, **options})


def sequences():
    return keras_residual.ResidualLSTMClassifier(
        (5, 3), classes=3, units=4, num_layers=2, residual_projection=True, first_residual=0
    )


NETWORKS = {
    "unrolled": residual,
    "scanned": lambda: residual(execution="scanned"),
    "bottleneck": lambda: keras_residual.ResNet("bottleneck", (2,), (4,), se_ratio=0.5, **SMALL),
    "multi_scale": lambda: keras_residual.ResNet(
        "bottleneck", (2,), (16,), spatial="multi_scale", **SMALL
    ),
    "reversible": lambda: keras_residual.ResNet(
        "basic", (2,), (8,), reversible=True, activation_order="pre", **SMALL
    ),
    "transcriber": lambda: keras_residual.ResidualLSTMTranscriber(
        (8, 3), classes=3, units=4, num_layers=1, front="causal", strides=4
    ),
    "lstm": sequences,
}

# Their layers are not folded.
SEQUENCES = ("lstm", "transcriber")


def prepared(name):
    model = NETWORKS[name]()
    for weight in model.weights:
        if "seed" not in weight.path and not weight.path.endswith("moving_variance"):
            weight.assign(to_numpy(weight) + 0.01)
    return model, ramp(2, *model.input_shape[1:])


def leaves(model):
    return [x for x in model._flatten_layers() if len(list(x._flatten_layers())) == 1 and x.built]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize")
def test_quantized_network_computes_saves_and_folds(name, tmp_path):
    model, inputs = prepared(name)
    expected = run(model, inputs)
    model.quantize("int8")
    # Keras quantizes dense layers: the classifier's, and those of squeeze-and-excitation.
    least = 1 if name in ("multi_scale", "reversible") else 2
    assert sum(layer.quantization_mode == "int8" for layer in leaves(model)) >= least
    outputs = run(model, inputs)
    np.testing.assert_allclose(outputs, expected, atol=0.05)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, inputs), outputs, rtol=1e-5, atol=1e-6)
    if name not in SEQUENCES:
        np.testing.assert_allclose(run(fold(loaded), inputs), expected, atol=0.05)
        assert not any(layer.quantization_mode for layer in leaves(fold(model)))


@pytest.mark.parametrize("name", NETWORKS)
def test_adapted_network_trains_saves_and_folds(name, tmp_path):
    model, inputs = prepared(name)
    expected = run(model, inputs)
    for layer in leaves(model):
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(2, lora_alpha=3)
    np.testing.assert_allclose(run(model, inputs), expected, rtol=1e-5, atol=1e-6)
    for weight in model.trainable_weights:
        if "lora" in weight.name:
            weight.assign(to_numpy(weight) + 0.02)
    outputs = run(model, inputs)
    assert not np.allclose(outputs, expected, atol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, inputs), outputs, rtol=1e-4, atol=1e-5)
    if name not in SEQUENCES:
        folded = fold(model)
        np.testing.assert_allclose(run(folded, inputs), outputs, rtol=1e-3, atol=1e-4)
        assert not any("lora" in weight.name for weight in folded.weights)


def test_lora_of_a_convolution_is_that_of_keras():
    ours, theirs = Convolution(4, 3), keras.layers.Conv2D(4, 3, padding="same", use_bias=False)
    for layer in (ours, theirs):
        layer.build((None, 5, 5, 3))
        layer.enable_lora(2, lora_alpha=6)
    theirs_shapes = [tuple(weight.shape) for weight in theirs.trainable_weights]
    assert [tuple(weight.shape) for weight in ours.trainable_weights] == theirs_shapes
    set_sequential_weights(ours)
    theirs.set_weights(ours.get_weights())
    inputs = ramp(1, 5, 5, 3)
    np.testing.assert_allclose(run(ours, inputs), run(theirs, inputs), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="enabled already"):
        ours.enable_lora(2)
    with pytest.raises(ValueError, match="needs a built layer"):
        Convolution(4).enable_lora(2)
    with pytest.raises(ValueError, match="`rank`"):
        built = Convolution(4)
        built.build((None, 5, 5, 3))
        built.enable_lora(0)
