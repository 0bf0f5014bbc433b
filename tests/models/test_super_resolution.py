"""Properties of the super-resolution networks, on tiny versions."""

import json

import keras
import numpy as np
import pytest
from support import gradients, ramp, run, set_sequential_weights

import keras_residual
from keras_residual import EDSR, VDSR, SRResNet
from keras_residual.analysis import cost
from keras_residual.layers.bicubic_upsampling import BicubicUpsampling

TINY = {"filters": 4, "depth": 4}
CASES = {
    "VDSR": {**TINY},
    "SRResNet": {**TINY},
    "EDSR": {**TINY, "residual_scale": 0.5},
}
SHAPES = {"VDSR": (6, 7, 1), "SRResNet": (6, 7, 3), "EDSR": (6, 7, 3)}
ALL = pytest.mark.parametrize("name", CASES)


def tiny(name, **options):
    model = keras_residual.get_model(name, **{**CASES[name], "scale": 2, **options})
    set_sequential_weights(model)
    return model


def image(name, batch=2):
    return 0.5 + 0.5 * ramp(batch, *SHAPES[name])


@pytest.mark.parametrize(
    ("name", "scale"), [("VDSR", 2), ("SRResNet", 3), ("EDSR", 2), ("EDSR", 3), ("EDSR", 4)]
)
def test_images_of_any_size_grow_by_the_scale(name, scale):
    model = keras_residual.get_model(name, scale=scale, **CASES[name])
    channels = SHAPES[name][-1]
    for size in ((2, 3), (5, 4)):
        y = run(model, ramp(1, *size, channels))
        assert y.shape == (1, scale * size[0], scale * size[1], channels)
        assert np.isfinite(y).all()


@ALL
def test_keras_file_gives_the_same_outputs(name, tmp_path):
    model = tiny(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    np.testing.assert_array_equal(run(loaded, image(name)), run(model, image(name)))


@ALL
def test_every_gradient_is_finite(name):
    _, found = gradients(tiny(name), image(name))
    assert all(np.isfinite(gradient).all() for gradient in found.values())
    assert all(np.abs(gradient).max() > 0 for gradient in found.values())


@pytest.mark.parametrize("name", ["SRResNet"])
def test_training_lowers_the_loss(name):
    model = tiny(name)
    model.compile(keras.optimizers.Adam(1e-3), "mae", jit_compile=False)
    large = run(BicubicUpsampling(2), image(name))
    losses = [float(model.train_on_batch(image(name), large)) for _ in range(8)]
    assert losses[-1] < losses[0]


@ALL
def test_half_precision_puts_out_float32(name):
    model = tiny(name, dtype="mixed_bfloat16")
    outputs = model(image(name))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    assert model.get_layer("stage1").compute_dtype == "bfloat16"
    np.testing.assert_allclose(run(model, image(name)), run(tiny(name), image(name)), atol=0.05)


@ALL
def test_channels_first_equals_channels_last(name):
    *spatial, channels = SHAPES[name]
    model = tiny(name, data_format="channels_first", input_shape=(channels, *spatial))
    outputs = run(model, np.moveaxis(image(name), -1, 1))
    expected = run(tiny(name), image(name))
    np.testing.assert_allclose(np.moveaxis(outputs, 1, -1), expected, rtol=1e-4, atol=1e-5)


@ALL
def test_scanned_equals_unrolled(name):
    model, scanned = tiny(name, depth=6), tiny(name, depth=6, execution="scanned")
    np.testing.assert_allclose(run(scanned, image(name)), run(model, image(name)), atol=1e-5)


@ALL
def test_cost_of_a_name_is_that_of_its_model(name):
    channels = SHAPES[name][-1] + 1
    shape = (12, 10, channels)
    model = keras_residual.get_model(name, scale=3, input_shape=shape)
    assert cost(name, shape, scale=3) == cost(model)


@ALL
def test_channels_of_an_input_are_those_of_the_output(name):
    model = keras_residual.get_model(name, input_shape=(None, None, 5), **CASES[name])
    assert model.output_shape == (None, None, None, 5)
    image = keras.Input((8, 8, 2))
    model = keras_residual.get_model(name, input_tensor=image, **CASES[name])
    assert model.output_shape == (None, 32, 32, 2)


def test_vdsr_learns_what_a_bicubic_enlargement_lacks():
    model = VDSR(scale=3, kernel_initializer="zeros", **TINY)
    x = image("VDSR")
    np.testing.assert_allclose(run(model, x), run(BicubicUpsampling(3), x), atol=1e-6)
    convolutions = 2 + 2 * VDSR().get_layer("stage1").depth
    assert convolutions == 20


def test_edsr_without_weights_puts_out_the_mean_of_div2k():
    y = run(EDSR(scale=2, kernel_initializer="zeros", **TINY), image("EDSR"))
    np.testing.assert_allclose(y[0, 0, 0], (0.4488, 0.4371, 0.4040), atol=1e-6)
    grey = EDSR(scale=2, kernel_initializer="zeros", input_shape=(4, 4, 1), **TINY)
    np.testing.assert_allclose(run(grey, ramp(1, 4, 4, 1)), 0.43, atol=1e-3)


def test_the_published_sizes_of_every_scale():
    """Of BasicSR's EDSR: 1.37, 1.55 and 1.52 million."""
    sizes = [cost("EDSR", scale=scale).parameters for scale in (2, 3, 4)]
    assert sizes == [1369859, 1554499, 1517571]


def test_residual_scale_damps_each_block():
    full, none = (EDSR(scale=2, residual_scale=scale, **TINY) for scale in (1.0, 0.0))
    x = image("EDSR")
    for model in (full, none):
        set_sequential_weights(model)
    stage = none.get_layer("stage1")
    block_input = ramp(1, 4, 4, 4)
    np.testing.assert_array_equal(run(stage, block_input), block_input)
    assert not np.allclose(run(full, x), run(none, x))


def test_srresnet_spreads_its_output_from_minus_one_to_one():
    plain, bounded = (tiny("SRResNet", output_activation=a) for a in (None, "tanh"))
    x = 40 * image("SRResNet")
    before = 2 * run(plain, x) - 1
    np.testing.assert_allclose(run(bounded, x), (np.tanh(before) + 1) / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 5}, "`scale` must be one of 2, 3, 4. Received: scale=5"),
        ({"depth": 0}, "`depth` must be a positive integer. Received: depth=0"),
        ({"filters": "8"}, "`filters` must be a positive integer"),
        ({"residual_scale": 2}, r"`residual_scale` must be a number in \[0, 1\]"),
        ({"blocks": 3}, "Unknown architecture option: 'blocks'"),
        ({"channels": 3}, "Unknown architecture option: 'channels'"),
        ({"input_shape": (8,)}, "`input_shape` must be a tuple"),
        ({"include_top": True}, "Unknown architecture option: 'include_top'"),
        ({"dtype": "int8"}, "`dtype` must be a floating"),
    ],
)
def test_wrong_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        EDSR(**options)


@pytest.mark.parametrize("depth", [2, 7])
def test_vdsr_is_made_of_pairs(depth):
    with pytest.raises(ValueError, match=f"`depth` must be an even .*depth={depth}"):
        VDSR(depth=depth)


def test_weights_have_names_of_this_package_only():
    with pytest.raises(ValueError, match="Unknown model with published weights"):
        SRResNet(weights="imagenet")
