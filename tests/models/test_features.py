"""Multi-scale outputs, output strides, and inputs of every size, rank and number of channels."""

import keras
import numpy as np
import pytest
from cases import FAMILIES
from support import ramp, run, set_sequential_weights, to_numpy

import keras_residual
from keras_residual import models

BASIC = {"depths": (1, 2, 1, 1), "widths": (4, 6, 8, 10), "stem_width": 4}
SMALL = {"depths": (1, 2, 1), "widths": (4, 6, 8), "stem_width": 4}
DENSE = {"depths": (2, 2, 1, 1), "growth_rate": 4, "stem_width": 8}


def make(name, shape=(64, 64, 3), **options):
    model = keras_residual.get_model(name, input_shape=shape, **options)
    set_sequential_weights(model)
    return model


def sizes_and_channels(model):
    return {name: (*output.shape[1:],) for name, output in model.output.items()}


@pytest.mark.parametrize("name", ["ResNet18", "ResNet18V2", "ResNet18D", "SEResNet18"])
def test_features_of_imagenet_networks(name):
    model = make(name, features=True, **BASIC)
    assert sizes_and_channels(model) == {
        "C2": (16, 16, 4),
        "C3": (8, 8, 6),
        "C4": (4, 4, 8),
        "C5": (2, 2, 10),
    }


def test_features_of_small_image_networks():
    model = make("ResNet20", (32, 32, 3), features=True, **SMALL)
    assert sizes_and_channels(model) == {"C2": (32, 32, 4), "C3": (16, 16, 6), "C4": (8, 8, 8)}


def test_features_of_densenets_come_before_the_transitions():
    model = make("DenseNet121", features=True, **DENSE)
    assert sizes_and_channels(model) == {
        "C2": (16, 16, 16),
        "C3": (8, 8, 16),
        "C4": (4, 4, 12),
        "C5": (2, 2, 10),
    }


@pytest.mark.parametrize("name", ["ResNet18", "ResNet18V2", "DenseNet121"])
def test_last_feature_is_what_the_classifier_pools(name):
    options = DENSE if name == "DenseNet121" else BASIC
    features = make(name, features=True, **options)
    body = make(name, include_top=False, **options)
    pooled = make(name, include_top=False, pooling="max", **options)
    x = ramp(2, 64, 64, 3)
    outputs = features(x)
    np.testing.assert_allclose(to_numpy(outputs["C5"]), run(body, x), atol=1e-6)
    np.testing.assert_allclose(run(body, x).max((1, 2)), run(pooled, x), atol=1e-6)


def test_some_features_by_name():
    model = make("ResNet18", features=("C5", "C3"), **BASIC)
    assert list(model.output) == ["C5", "C3"]


@pytest.mark.parametrize("output_stride", [4, 8, 16, 32])
@pytest.mark.parametrize("name", ["ResNet18", "ResNet50V2", "DenseNet121"])
def test_output_stride_limits_the_reduction(name, output_stride):
    options = DENSE if name == "DenseNet121" else BASIC
    model = make(name, features=True, output_stride=output_stride, **options)
    strides = [64 // output.shape[1] for output in model.output.values()]
    assert strides == [min(stride, output_stride) for stride in (4, 8, 16, 32)]
    plain = make(name, features=True, **options)
    assert model.count_params() == plain.count_params()


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ResNet18", {}),
        ("ResNet50", {}),
        ("ResNet50V1", {}),
        ("ResNet50V2", {}),
        ("ResNet50V2", {"strided_block": "last"}),
        ("ResNet18V2", {"strided_block": "last"}),
    ],
)
def test_dilated_network_computes_the_strided_one_in_between(name, options, output_stride):
    options = {**BASIC, "depths": (2, 2, 2, 2), "features": True, **options}
    x = ramp(1, 64, 61, 3)
    dilated = make(name, (64, 61, 3), output_stride=output_stride, **options)(x)
    for feature, expected in make(name, (64, 61, 3), **options)(x).items():
        step = -(-dilated[feature].shape[1] // expected.shape[1])
        every = to_numpy(dilated[feature])[:, ::step, ::step]
        np.testing.assert_allclose(every, to_numpy(expected), atol=1e-4, err_msg=feature)


@pytest.mark.parametrize("shape", [(33, 64, 3), (47, 51, 3), (32, 32, 1), (40, 32, 5)], ids=str)
@pytest.mark.parametrize("name", ["ResNet18", "ResNet50V2", "DenseNet121"])
def test_any_size_and_number_of_channels(name, shape):
    options = DENSE if name == "DenseNet121" else BASIC
    model = make(name, shape, features=True, **options)
    outputs = model(ramp(2, *shape))
    for key, output in model.output.items():
        assert outputs[key].shape[1:] == output.shape[1:]
    halving = np.floor if name == "DenseNet121" else np.ceil
    expected = [np.ceil(np.ceil(size / 2) / 2) for size in shape[:2]]
    for key in ("C2", "C3", "C4", "C5"):
        assert list(outputs[key].shape[1:3]) == expected
        expected = [halving(size / 2) for size in expected]


@pytest.mark.parametrize("name", ["ResNet18", "ResNet50V2", "ResNet18D", "DenseNet121"])
@pytest.mark.parametrize("spatial", [(64,), (32, 33, 34)], ids=["1-D", "3-D"])
def test_one_and_three_dimensions(name, spatial):
    options = DENSE if name == "DenseNet121" else BASIC
    model = make(name, (*spatial, 2), classes=3, **options)
    outputs = run(model, ramp(2, *spatial, 2))
    assert outputs.shape == (2, 3)
    assert np.isfinite(outputs).all()


def test_unknown_sizes_in_one_compiled_model():
    model = make("ResNet18", (None, None, 3), features=True, blur_pool=True, **BASIC)
    assert model.output["C5"].shape == (None, None, None, 10)
    for size in (32, 47):
        outputs = model.predict_on_batch(ramp(2, size, 40, 3))
        assert outputs["C5"].shape == (2, -(-size // 32), 2, 10)


def test_default_shape_without_the_top_has_no_sizes():
    model = keras_residual.ResNet18(include_top=False, **BASIC)
    assert model.input_shape == (None, None, None, 3)
    assert keras_residual.ResNet18(**BASIC).input_shape == (None, 224, 224, 3)


@pytest.mark.parametrize("name", ["ResNet18", "DenseNet121", "ResNet20"])
def test_input_smaller_than_the_strides_is_refused(name):
    size = 3 if name == "ResNet20" else 31
    with pytest.raises(ValueError, match=r"`input_shape`.* Received: input_shape="):
        keras_residual.get_model(name, input_shape=(64, size, 3))
    keras_residual.get_model(name, input_shape=(None, size + 1, 3), **tiny_options(name))


def tiny_options(name):
    return {"ResNet18": BASIC, "DenseNet121": DENSE, "ResNet20": SMALL}[name]


def test_models_stack_on_an_input_tensor():
    """Fine-tuning: augmentation in front, another head behind, the body's weights shared."""
    inputs = keras.Input((None, None, 1), name="scan")
    x = keras.layers.Concatenate()([inputs] * 3)
    model = models.ResNet18(input_tensor=x, include_top=False, pooling="avg", **BASIC)
    assert model.inputs[0] is inputs
    outputs = keras.layers.Dense(2)(model.output)
    assert keras.Model(inputs, outputs)(ramp(2, 32, 40, 1)).shape == (2, 2)


def test_logits_and_probabilities():
    x = ramp(2, 32, 32, 3)
    logits = run(make("ResNet20", (32, 32, 3), classifier_activation=None, **SMALL), x)
    probabilities = run(make("ResNet20", (32, 32, 3), **SMALL), x)
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4)


def test_half_precision_of_one_model_leaves_the_next_alone():
    half = make("ResNet18", dtype="mixed_bfloat16", features=True, **BASIC)
    assert {output.dtype for output in half.output.values()} == {"bfloat16"}
    assert make("ResNet18", **BASIC).output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", ["ResNet18", "ResNet50V2", "ResNet18D", "DenseNet121", "ResNet20"])
def test_feature_before_the_pooling(name):
    case = next(case for case in FAMILIES if case.name == name)
    model = case.make(features=("C1", "C2"), classes=1000, input_shape=(33, 35, 3))
    strides = 1 if name == "ResNet20" else 2
    shape = model.output["C1"].shape
    assert shape[1:3] == (-(-33 // strides), -(-35 // strides))
    assert "C1" not in case.make(features=True, classes=1000).output
