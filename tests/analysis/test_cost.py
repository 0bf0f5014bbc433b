"""Costs counted from shapes equal those of built models and of published networks."""

import keras
import pytest

import keras_residual
from keras_residual.analysis import Cost, cost

TINY = {
    "ResNet18": {"widths": (4, 8, 8, 16), "stem_width": 4},
    "ResNet50D": {"widths": (4, 4, 8, 8), "stem_width": 8, "depths": (1, 2, 1, 1)},
    "ResNet50V2": {"widths": (4, 4, 8, 8), "stem_width": 4, "blur_pool": True},
    "SEResNeXt50_32x4d": {"widths": (64, 64, 64, 64), "cardinality": 2, "depths": (1, 1, 1, 2)},
    "DenseNet121": {"depths": (2, 3), "growth_rate": 4, "stem_width": 8},
    "ResNet1D": {"widths": (4, 4, 8)},
}


@pytest.mark.parametrize("name", TINY)
def test_counting_by_name_equals_the_built_model(name):
    model = keras_residual.get_model(name, **TINY[name])
    assert cost(name, **TINY[name]) == cost(model)
    assert cost(name, **TINY[name]).parameters == model.count_params()


def test_scanned_costs_what_unrolled_costs():
    options = {"depths": (1, 5, 3), "classes": 7}
    scanned = cost("ResNet164V2", execution="scanned", **options)
    assert scanned == cost("ResNet164V2", execution="unrolled", **options)
    assert scanned == cost(keras_residual.ResNet164V2(execution="scanned", **options))


# Multiply–accumulates of convolutions and dense layers at 224², as published and as counted by the
# usual tools: https://keras.io/api/applications and the papers.
@pytest.mark.parametrize(
    ("name", "parameters", "giga_macs"),
    [("ResNet50", 25_636_712, 3.858), ("MobileNetV2", 3_538_984, 0.301)],
)
def test_models_of_keras_applications(name, parameters, giga_macs):
    model = getattr(keras.applications, name)(weights=None)
    counted = cost(model)
    assert counted.parameters == parameters
    assert round(counted.macs / 1e9, 3) == giga_macs


def test_convolution_by_hand():
    inputs = keras.Input((8, 6, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
    macs = 4 * 3 * (3 * 3 * 3 * 4) + 48 * 5
    parameters = 3 * 3 * 3 * 4 + 4 + 48 * 5 + 5
    # The convolution's and the flattened 48 values and 5 outputs, 4 bytes each.
    assert cost(model) == Cost(parameters, parameters, macs, 4 * (48 + 48 + 5))


def test_shared_and_nested_layers_count_each_call():
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, use_bias=False)])
    model = keras.Model(inputs, inner(inner(inputs)) + inputs)
    assert cost(model).macs == 2 * 16
    assert cost(model).parameters == 16
    assert cost(inner).macs == 16


def test_counting_leaves_the_model_unchanged():
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 1)])
    cost(model, input_shape=(5, 5, 3))
    assert model.input_shape == (None, None, None, 3)
    assert len(model.layers) == 1
    assert model.layers[0].input is model.inputs[0]


def test_half_precision_halves_the_activations():
    options = TINY["ResNet18"]
    half = cost("ResNet18", dtype="mixed_bfloat16", **options)
    # All but the classifier's 1,000 outputs, which stay in float32.
    whole = cost("ResNet18", **options)
    assert 2 * (half.activation_bytes - 4000) == whole.activation_bytes - 4000
    assert half.parameters == whole.parameters


def test_the_giants_are_counted_without_weights(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a weight was allocated")

    monkeypatch.setattr(keras.layers.Layer, "add_weight", refuse)
    assert cost("WideResNet101_2").parameters == 127_024_552
    assert cost("ResNet1202").parameters == 19_510_906


def small_network():
    return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(2, 1)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cost("ResNet51"), "Did you mean"),
        (lambda: cost("ResNet50", cardinalty=2), "cardinality"),
        (lambda: cost("ResNet50", input_shape=(None, None, 3)), "`input_shape` must name every"),
        (lambda: cost("ResNet50", input_shape=(0, 5, 3)), r"input_shape=\(0, 5, 3\)"),
        (lambda: cost(3), "Unknown model: 3"),
        (lambda: cost(small_network(), input_shape=(16, 16)), r"fits the input \(32, 32, 3\)"),
        (lambda: cost(small_network(), input_shape=(16, 16, 1)), r"fits the input \(32, 32, 3\)"),
        (lambda: cost(small_network(), input_shape=5), "input_shape=5"),
        (lambda: cost("ResNet20", include_preprocessing="yes"), "`include_preprocessing`"),
        (lambda: cost(keras.Sequential([keras.layers.Dense(1)])), "must be a built model"),
        (
            lambda: cost(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), classes=3),
            "classes",
        ),
        (
            lambda: cost(keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(1)])),
            "`input_shape` must name every size",
        ),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
