"""Combinations of options: which need others, and what they do together."""

import keras
import numpy as np
import pytest
from models.test_options import make
from support import ramp, run, set_sequential_weights

import keras_residual
from keras_residual import layers

STRIDELESS = {"stage_strides": (1, 1), "stem_pool": False}
WITHOUT_EFFECT = [
    ("ResNet", {"stem": "deep", "space_to_depth": True}, "space_to_depth"),
    ("DenseNet", {"stem": "conv3", "space_to_depth": True}, "space_to_depth"),
    ("ResNet", {"stem": "conv3", "pool_padding": "zero"}, "pool_padding"),
    ("DenseNet", {"stem_pool": False, "pool_padding": "zero"}, "pool_padding"),
    ("ResNet", {"stem": "none", "stem_width": 8}, "stem_width"),
    ("DenseNet", {"stem": "none", "stem_width": 8}, "stem_width"),
    ("ResNet", {"normalization": "group", "norm_momentum": 0.99}, "norm_momentum"),
    ("DenseNet", {"normalization": "none", "norm_epsilon": 0.01}, "norm_epsilon"),
    ("ResNet", {"share_preactivation": False}, "share_preactivation"),
    ("ResNet", {"conv_bias": True}, "conv_bias"),
    ("ResNet", {"conv_bias": True, "activation_order": "inner"}, "conv_bias"),
    ("ResNet", {"se_divisor": 8}, "se_divisor"),
    ("ResNet", {"attention": "inner_squeeze_excite"}, "attention"),
    ("ResNet", {"branches": 4}, "branches"),
    ("ResNet", {"cardinality": 2, "group_width": 2}, "cardinality"),
    ("ResNet", {"stem": "conv3", "stem_pool": "average"}, "stem_pool"),
    ("ResNet", {"blur_pool": "average", "stage_strides": (1, 1)}, "blur_pool"),
    ("DenseNet", {"blur_pool": True, "stem_pool": "conv3", "depths": (2,)}, "blur_pool"),
    ("ResNet", {"normalize_identity": True, "activation_order": "pre"}, "normalize_identity"),
    ("ResNet", {"normalize_identity": True, "normalization": "none"}, "normalize_identity"),
    ("ResNet", {"normalize_identity": True, "shortcut": "none"}, "normalize_identity"),
    ("ResNet", {"strided_conv": "conv1", **STRIDELESS}, "strided_conv"),
    ("ResNet", {"strided_block": "last", **STRIDELESS}, "strided_block"),
    ("ResNet", {"strided_block": "last", "shortcut": "pooled"}, "shortcut"),
    ("ResNet", {"output_stride": 4, "shortcut": "pooled"}, "shortcut"),
    ("ResNet", {"blur_pool": True, **STRIDELESS}, "blur_pool"),
    ("ResNet", {"blur_pool": True, "stem": "conv3", "output_stride": 1}, "blur_pool"),
    ("DenseNet", {"blur_pool": True, "depths": (2,), "stem_pool": False}, "blur_pool"),
    ("DenseNet", {"compression": 0.25, "depths": (2,)}, "compression"),
    ("ResNet", {"features": True, "pooling": "avg"}, "pooling"),
    ("DenseNet", {"features": ("C3",), "include_top": False, "pooling": "max"}, "pooling"),
]


@pytest.mark.parametrize(("family", "options", "named"), WITHOUT_EFFECT, ids=str)
def test_option_without_effect_is_refused(family, options, named):
    with pytest.raises(ValueError, match=f"`{named}` has no effect .*Received: .*{named}="):
        make(family, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ResNet1D", {"normalization": "layer"}),
        ("ResNet1D", {"activation_order": "pre"}),
        ("ResNet20", {"stem": "none"}),
        ("ResNet50V1", {"output_stride": 4}),
        ("ResNet50D", {"output_stride": 4}),
        ("ResNet164V2", {"stage_strides": (1, 1, 1)}),
        ("DenseNet121", {"stem": "none", "depths": (2,)}),
    ],
    ids=str,
)
def test_own_options_of_a_network_may_lose_their_effect(name, options):
    assert keras_residual.analysis.cost(name, **options).parameters


def test_top_ignores_pooling_as_in_keras_applications():
    pool = make("ResNet", pooling="max").get_layer("pool")
    assert isinstance(pool, keras.layers.GlobalAveragePooling2D)


def test_drop_path_of_a_single_block_is_that_of_the_last():
    model = make("ResNet", depths=(1,), widths=(4,), drop_path_rate=0.5)
    assert model.get_layer("stage1").drop_path_rates == (0.5,)


def test_strides_on_the_last_block():
    """As in keras.applications' v2 networks: strides 2, 2, …, 1, and nothing to learn beside."""
    options = {"depths": (2, 2, 1), "widths": (4, 8, 8), "strided_block": "last"}
    model = make("ResNet", features=True, input_shape=(32, 32, 3), **options)
    assert [32 // output.shape[1] for output in model.output.values()] == [8, 16, 16]
    stages = [model.get_layer(f"stage{number}") for number in (1, 2, 3)]
    strides = [[block.strides for block in stage.block_layers()] for stage in stages]
    assert strides == [[1, 2], [1, 2], [1]]
    assert stages[0].last.get_config()["shortcut"] == "pad"
    plain = make("ResNet", shortcut="none", **options)
    assert plain.get_layer("stage1").last.get_config()["shortcut"] == "none"


@pytest.mark.parametrize("kind", ["pad", "pooled"])
def test_only_projections_are_blurred(kind):
    x = ramp(2, 8, 8, 4)
    blurred, plain = (layers.Shortcut(4, 2, kind, blur_pool=blur) for blur in (True, False))
    for layer in (blurred, plain):
        layer.build(x.shape)
        set_sequential_weights(layer)
    np.testing.assert_array_equal(run(blurred, x), run(plain, x))


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (6, 2), (7, 1)])
def test_groups_of_a_group_normalization(channels, groups):
    layer = layers.NormActivation("group")
    layer.build((None, 4, channels))
    assert layer.norm.groups == groups


def test_inner_activation_leaves_the_sums_as_they_are():
    model = make("ResNet", activation_order="inner", include_top=False)
    set_sequential_weights(model)
    assert run(model, ramp(2, 16, 16, 3)).min() < 0
    assert "final_norm" not in [layer.name for layer in model.layers]


@pytest.mark.parametrize("order", ["post", "pre"])
def test_folded_normalization_takes_the_weights_of_a_folded_network(order):
    model = make("ResNet", activation_order=order)
    set_sequential_weights(model)
    folded = keras_residual.export.fold(model)
    fresh = make("ResNet", activation_order=order, normalization="folded")
    fresh.set_weights(folded.get_weights())
    x = ramp(2, 16, 16, 3)
    np.testing.assert_allclose(run(fresh, x), run(model, x), atol=1e-5)
