"""Drawn arguments, valid and not: a network of the promised shape, or a ValueError; nothing else.

The default run draws 500 sets; `KERAS_RESIDUAL_EXAMPLES=2000` draws more.
"""

import os

import keras
import numpy as np
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from support import ramp

from keras_residual import ResNet, layers

EXAMPLES = int(os.environ.get("KERAS_RESIDUAL_EXAMPLES", "500"))


def drawn(share):
    return settings(
        max_examples=max(1, EXAMPLES * share // 100),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],  # shrinking builds for minutes
        suppress_health_check=list(HealthCheck),
    )


def often(*valid, rarely=(0, -1, 2.5, "3", None, True, (), "unheard_of", float("nan"))):
    """Mostly one of `valid`, in one case of sixty a value of another argument."""
    return st.integers(0, 59).flatmap(
        lambda number: st.sampled_from(rarely if number == 13 else valid)
    )


FLAG = often(False, True, False)
# Of options that have an effect only beside certain others, and are refused without.
RARE_FLAG = often(*[False] * 7, True)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=3)
BLOCK = {
    "normalization": often("batch", "group", "layer", "none"),
    "activation": often("relu", "silu", "tanh", None),
    "norm_momentum": often(0.9, 0.0, 1.0),
    "norm_epsilon": often(1e-5, 1e-3),
    "kernel_initializer": often(None, "he_normal", "zeros"),
    "kernel_regularizer": often(None, "l2"),
    "data_format": often("channels_last", "channels_first", None),
    "dtype": often("float32", "mixed_bfloat16"),
}
UNIT = {
    **BLOCK,
    "filters": often(4, 8, 12, 3),
    "strides": often(1, 2, 3),
    "dilation_rate": often(1, 2),
    "first_dilation_rate": often(None, None, None, 1, 2),
    "activation_order": often("post", "pre"),
    "shortcut": often("projection", "pad", "pooled", "none"),
    "normalize_identity": RARE_FLAG,
    "share_preactivation": RARE_FLAG,
    "se_ratio": often(0.0, 0.25, 1.0),
    "se_divisor": often(1, 1, 1, 2),
    "drop_path_rate": often(0.0, 0.5),
    "dropout_rate": often(0.0, 0.5),
    "blur_pool": FLAG,
    "zero_init_residual": FLAG,
    "conv_bias": RARE_FLAG,
}
BLOCKS = {
    "ResidualBlock": {**UNIT, "kernel_sizes": often((3, 3), (1,), (2, 5), (3, 1, 3))},
    "BottleneckBlock": {
        **UNIT,
        "cardinality": often(1, 2, 3),
        "base_width": often(64, 32, 128, 7),
        "strided_conv": often("conv1", "conv2"),
    },
    "DenseBlock": {
        **BLOCK,
        "depth": often(1, 2),
        "growth_rate": often(1, 3),
        "bottleneck": often(0, 1, 4),
        "dropout_rate": often(0.0, 0.5),
        "dilation_rate": often(1, 2),
        "rematerialize": FLAG,
    },
    "DenseTransition": {**BLOCK, "compression": often(0.5, 1.0, 0.1), "strides": often(1, 2)},
    "ConvNorm": {
        **BLOCK,
        "filters": often(4, 6),
        "kernel_size": often(1, 3, 2, (3,), (1, 3), (3, 2, 1)),
        "strides": often(1, 2),
        "dilation_rate": often(1, 2),
        "groups": often(1, 2, 3),
        "use_bias": often(None, True, False),
        "zero_gamma": FLAG,
        "blur_pool": FLAG,
        "space_to_depth": FLAG,
    },
    "Shortcut": {
        **BLOCK,
        "filters": often(4, 6),
        "strides": often(1, 2, 3),
        "kind": often("projection", "pad", "pooled", "none"),
        "normalize_identity": FLAG,
        "blur_pool": FLAG,
        "use_bias": FLAG,
    },
    "Stem": {
        **BLOCK,
        "filters": often(4, 1),
        "kind": often("conv7", "deep", "conv3", "none"),
        "pool": FLAG,
        "pool_padding": often("minimum", "minimum", "minimum", "zero"),
        "preactivated": FLAG,
        "space_to_depth": RARE_FLAG,
        "blur_pool": FLAG,
    },
}
REQUIRED = ("filters", "depth", "growth_rate")


def some_of(options, at_most=7):
    """A few options and the required ones; with many, some pair is always refused."""
    required = [key for key in options if key in REQUIRED]
    optional = st.lists(
        st.sampled_from([key for key in options if key not in REQUIRED]),
        max_size=at_most,
        unique=True,
    )
    return optional.flatmap(
        lambda keys: st.fixed_dictionaries({key: options[key] for key in (*required, *keys)})
    )


def explains(error):
    """Whether a message gives the value; the last wording is Keras' own, of a layer's `dtype`."""
    return any(word in str(error) for word in ("Received", "Unknown", "Cannot convert"))


def check(make, shape, training):
    """Builds and runs, or raises a ValueError that contains the received value."""
    try:
        layer = make()
        promised = layer.compute_output_shape(shape)
        outputs = layer(ramp(*shape), training=training)
    except ValueError as error:
        event("refused")
        assert explains(error), str(error)
        return
    event("built")
    assert tuple(outputs.shape) == tuple(promised)
    assert np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))).all()


@drawn(60)
@given(
    block=st.sampled_from(list(BLOCKS)).flatmap(
        lambda name: st.tuples(st.just(name), some_of(BLOCKS[name]))
    ),
    sizes=SIZES,
    channels=st.sampled_from([4, 3, 6, 1]),
    training=st.booleans(),
)
def test_block_runs_or_is_refused(block, sizes, channels, training):
    name, arguments = block
    first = arguments.get("data_format") == "channels_first"
    shape = (2, channels, *sizes) if first else (2, *sizes, channels)
    check(lambda: getattr(layers, name)(**arguments), shape, training)


NETWORK = {
    **{key: value for key, value in UNIT.items() if key not in ("filters", "strides")},
    "norm_momentum": often(*[0.9] * 6, 0.5),
    "norm_epsilon": often(*[1e-5] * 6, 1e-3),
    "zero_init_residual": RARE_FLAG,
    "depths": often((1, 1), (2, 1), (1, 2), (1, 1), (2, 2), *[(1, 1)] * 9, (1, 2, 1)),
    "widths": often((4, 8), (4, 4), (8, 4), (4, 8), (8, 8), *[(4, 8)] * 9, (4, 4, 8)),
    "stem": often("conv3", "conv3", "conv3", "conv7", "deep", "none"),
    "stem_width": often(4, 8),
    "stem_pool": FLAG,
    "pool_padding": often("minimum", "minimum", "minimum", "zero"),
    "space_to_depth": RARE_FLAG,
    "share_preactivation": often(*[True] * 7, False),
    "strided_conv": often("conv1", "conv2"),
    "strided_block": often("first", "last"),
    "kernel_sizes": often((3, 3), (3, 3), (5, 3)),
    "cardinality": often(1, 1, 2),
    "base_width": often(64, 64, 32),
    "output_stride": often(None, None, None, 4, 8),
    "stage_strides": often(None, (1, 2), (2, 1), (1, 3), (2,)),
    "execution": often("auto", "unrolled", "scanned"),
    "rematerialize": FLAG,
    "features": often(False, False, False, True, ("C2",), ("C3",)),
    "include_top": often(True, False),
    "pooling": often(None, None, "avg", "max"),
    "classes": often(2, 5),
    "classifier_activation": often("softmax", None, "sigmoid"),
}
ONLY_BASIC = ("kernel_sizes",)
ONLY_BOTTLENECK = ("cardinality", "base_width", "strided_conv")
NOT_OF_NETWORKS = ("dilation_rate", "first_dilation_rate")


def network(block, without):
    options = {key: value for key, value in NETWORK.items() if key not in without}
    return st.tuples(block, some_of(options)).map(lambda pair: {"block": pair[0], **pair[1]})


NETWORKS = st.one_of(
    network(st.just("basic"), (*ONLY_BOTTLENECK, *NOT_OF_NETWORKS)),
    network(st.just("bottleneck"), (*ONLY_BASIC, *NOT_OF_NETWORKS)),
    network(often("basic", "bottleneck"), NOT_OF_NETWORKS),
)


@drawn(40)
@given(
    options=NETWORKS,
    sizes=st.lists(st.integers(4, 20), min_size=1, max_size=3)
    | st.sampled_from([[16], [16, 17], [24, 20], [9, 8, 8], [1, 2]]),
    channels=st.integers(1, 4),
    training=st.booleans(),
)
def test_network_runs_or_is_refused(options, sizes, channels, training):
    options = {"depths": (1, 1), "widths": (4, 8), "stem_width": 4, **options}
    if options.get("stem") == "none":
        del options["stem_width"]
    first = options.get("data_format") == "channels_first"
    shape = (channels, *sizes) if first else (*sizes, channels)
    try:
        model = ResNet(input_shape=shape, **{"classes": 3, **options})
        outputs = model(ramp(2, *shape), training=training)
    except ValueError as error:
        event("refused")
        assert explains(error), str(error)
        return
    event("built")
    found = keras.tree.flatten(outputs)
    for tensor, promised in zip(found, keras.tree.flatten(model.output), strict=True):
        assert tuple(tensor.shape) == (2, *promised.shape[1:])
        assert np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))).all()
