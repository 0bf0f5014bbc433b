"""Networks for clips: options, features, shapes and refusals."""

import keras
import numpy as np
import pytest
from support import ramp, run, set_sequential_weights, to_numpy

import keras_residual
from keras_residual import VideoResNet, layers
from keras_residual.analysis import cost
from keras_residual.models import flat_view
from keras_residual.models.registry import find

TINY = {"depths": (1, 1), "widths": (4, 6), "stem_width": 4, "classes": 3}
SHAPE = (4, 16, 16, 3)


def make(**options):
    model = VideoResNet(**{"input_shape": SHAPE, **TINY, **options})
    set_sequential_weights(model)
    return model


@pytest.mark.parametrize(
    ("convolutions", "sizes"),
    [
        ("full", [(8, 16, 16), (8, 16, 16), (4, 8, 8), (2, 4, 4), (1, 2, 2)]),
        ("frames", [(8, 16, 16), (8, 16, 16), (8, 8, 8), (8, 4, 4), (8, 2, 2)]),
        (("full", *["frames"] * 3), [(8, 16, 16), (8, 16, 16), (8, 8, 8), (8, 4, 4), (8, 2, 2)]),
        ("factorized", [(8, 16, 16), (8, 16, 16), (4, 8, 8), (2, 4, 4), (1, 2, 2)]),
    ],
    ids=str,
)
def test_features(convolutions, sizes):
    names = ("C1", "C2", "C3", "C4", "C5")
    model = VideoResNet(
        convolutions, (1,) * 4, (4,) * 4, stem_width=4, input_shape=(8, 32, 32, 3), features=names
    )
    assert [output.shape[1:-1] for output in model.output.values()] == sizes


OPTIONS = {
    "convolutions": "full",
    "depths": (2, 1),
    "widths": (4, 8),
    "stem_width": 6,
    "drop_path_rate": 0.5,
    "zero_init_residual": True,
    "execution": "scanned",
    "normalization": "group",
    "activation": "silu",
    "kernel_regularizer": "l2",
    "weight_standardization": True,
    "rematerialize": True,
    "include_preprocessing": True,
}


@pytest.mark.parametrize("option", OPTIONS)
def test_option_changes_the_network(option):
    shared = {"input_shape": SHAPE, **TINY, "convolutions": "frames"}
    if option == "execution":
        shared["depths"] = (3, 1)
    base = VideoResNet(**shared)
    model = VideoResNet(**{**shared, option: OPTIONS[option]})
    assert str(model.get_config()) != str(base.get_config())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("convolutions", value) for value in ("3d", None, 3, ("full",), ("full", "2d"), ())],
        *[("widths", value) for value in (0, (4,), (4, 6, 8), "46")],
        *[("depths", value) for value in ((), (1, 0), None)],
        *[("stem_width", value) for value in (0, 2.5)],
        *[("drop_path_rate", value) for value in (1.0, "half")],
        ("zero_init_residual", 1),
        ("execution", "fast"),
        ("input_shape", (4, 2, 16, 3)),
        ("input_shape", (1, 16, 16, 3)),
        ("stem", "conv7"),
    ],
)
def test_wrong_option_is_named(option, value):
    with pytest.raises(ValueError, match=option):
        make(**{option: value})


def test_networks_for_images_refuse_the_stems_of_clips():
    with pytest.raises(ValueError, match="`stem` must be one of"):
        keras_residual.ResNet(stem="clip7")


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18", "R2Plus1D18"])
def test_networks_are_found_by_the_names_of_torchvision(name):
    assert find(name)[0].input_shape == (16, 112, 112, 3)


def test_counts_of_the_paper():
    names = ("R3D18", "MC3_18", "R2Plus1D18")
    found = [cost(name).trainable_parameters for name in names]
    assert found == [33_371_472, 11_695_440, 31_505_325]


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 8), (5, 8), (64, 128)])
def test_a_pair_has_the_weights_of_a_full_kernel(inputs, outputs):
    block = layers.FactorizedBlock(outputs, strides=2)
    block.build((None, 4, 8, 8, inputs))
    width = block.conv1.conv.filters
    assert width == 27 * inputs * outputs // (9 * inputs + 3 * outputs)
    assert block.conv3.conv.filters == width
    full, pair = 27 * inputs * outputs, 9 * inputs * width + 3 * width * outputs
    assert full - (9 * inputs + 3 * outputs) < pair <= full


def test_the_stage_of_a_saved_network_keeps_inner_widths(tmp_path):
    model = make(depths=(1, 2), execution="unrolled")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, ramp(1, *SHAPE)), run(model, ramp(1, *SHAPE)))


def test_scanned_and_flat_networks_are_the_same_function():
    model = make(depths=(1, 3))
    x = ramp(2, *SHAPE)
    expected = run(model, x)
    for other in (make(depths=(1, 3), execution="scanned"), flat_view(model)):
        np.testing.assert_allclose(to_numpy(other(x)), expected, rtol=1e-4, atol=1e-6)


def test_clips_with_values_of_pixels_are_scaled_inside():
    model = make(include_preprocessing="torch")
    plain = make()
    x = np.random.default_rng(0).integers(0, 256, (1, *SHAPE)).astype("float32")
    scaled = (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(run(model, x), run(plain, scaled.astype("float32")), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("blur_pool", True), ("spatial", "split"), ("strides", (2, 2)), ("inner_filters", 0)],
)
def test_factorized_block_refuses(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        layers.FactorizedBlock(8, **{name: value})


def test_factorized_block_takes_clips():
    with pytest.raises(ValueError, match="clips of rank 5"):
        layers.FactorizedBlock(8).build((None, 8, 8, 3))
