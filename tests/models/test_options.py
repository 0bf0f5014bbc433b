"""Every option of the builders changes the network, is saved, and rejects wrong values."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import wrong_values
from support import ramp, run, set_sequential_weights

import keras_residual
from keras_residual import DenseNet, ResNet
from keras_residual.models.densenet import DenseNetArchitecture
from keras_residual.models.dual_path import DualPathArchitecture
from keras_residual.models.fractal import FractalArchitecture
from keras_residual.models.highway import HighwayArchitecture
from keras_residual.models.resnet_architecture import ResNetArchitecture


def printed(value) -> str:
    """Returns a value for the name of a test: the same in every process."""
    if callable(value) and not isinstance(value, type):
        return getattr(value, "__name__", type(value).__name__)
    return str(value)


SHAPE = (16, 16, 3)
BASES = {
    "HighwayNet": {"widths": (4, 6), "depths": (2, 2), "final_width": 5},
    "FractalNet": {"widths": (4, 6), "columns": 2},
    "ResNet": {"depths": (1, 2), "widths": (4, 8), "stem_width": 4},
    "DenseNet": {"depths": (2, 2), "growth_rate": 4, "stem_width": 4},
    "DPN": {"depths": (1, 2), "growth_rates": (2, 3), "widths": (4, 4)}
    | {"base_width": 4, "cardinality": 2, "stem_width": 4},
}
ARCHITECTURES = {
    "ResNet": ResNetArchitecture,
    "DenseNet": DenseNetArchitecture,
    "DPN": DualPathArchitecture,
    "FractalNet": FractalArchitecture,
    "HighwayNet": HighwayArchitecture,
}
# The default, which has no effect there.
STEMS = {"stem": "conv7", "stem_width": 4}
NO_STEM = {"stem_width": 64}
PRE = {"activation_order": "pre"}
BASIC = {"block": "basic"}
SE = {"se_ratio": 0.25}
GLOROT = keras.initializers.GlorotUniform(3)
SHARED = {
    "depths": [((2, 1), {}), ((1, 1, 1), {"widths": None})],
    "stem": [
        ("deep", {}),
        ("conv3", {}),
        ("none", NO_STEM),
        ("strided3", {}),
        ("pooled3", {}),
        ("tiered", {"stem_width": 8}),
    ],
    "stem_width": [(6, {})],
    "stem_pool": [(False, {}), ("average", {}), ("blur", {}), ("conv3", {})],
    "pool_padding": [("zero", {"activation": "tanh"})],
    "space_to_depth": [(True, {})],
    "dropout_rate": [(0.5, {})],
    "blur_pool": [(True, {})],
    "output_stride": [(4, {})],
    "normalization": [("group", {}), ("layer", {}), ("none", {})],
    "activation": [("silu", {}), (keras.activations.elu, {}), (None, {})],
    "norm_momentum": [(0.5, {})],
    "norm_epsilon": [(0.1, {})],
    "kernel_initializer": [("zeros", {}), (GLOROT, {})],
    "weight_standardization": [(True, {})],
    "kernel_regularizer": [("l2", {}), (keras.regularizers.L1(0.1), {})],
    "rematerialize": [(True, {})],
    "dtype": [("mixed_bfloat16", {}), ("float64", {}), (keras.DTypePolicy("mixed_float16"), {})],
    "data_format": [("channels_first", {"input_shape": (3, 16, 16)})],
    "features": [(True, {}), (("C3",), {})],
    "include_preprocessing": [(True, {})],
}
# Those that need no stem.
CONVOLUTIONAL = (
    *("dropout_rate", "activation", "kernel_initializer", "weight_standardization"),
    *("kernel_regularizer", "rematerialize", "dtype", "data_format", "features"),
    "include_preprocessing",
)
BATCH = {"normalization": "batch"}
OPTIONS = {
    "ResNet": {
        **SHARED,
        "block": [("basic", {})],
        "widths": [((8, 4), {})],
        "activation_order": [("pre", {}), ("pyramid", {}), ("leading", {}), ("outer", {})],
        "shortcut": [
            (kind, {})
            for kind in (
                "pad",
                "pooled_pad",
                "pooled",
                "shifted",
                "none",
                "conv3",
                "identity",
                "half",
            )
        ]
        + [("strided", {"blur_pool": True})],
        "shortcut_levels": [(2, {}), (3, {}), (3, PRE)],
        "strided_conv": [("conv1", {})],
        "strided_block": [("last", {}), ("last", PRE)],
        "kernel_sizes": [((5, 3, 3), BASIC), ((1, 2), BASIC)],
        "normalize_identity": [(True, {})],
        "share_preactivation": [(False, PRE), ("all", PRE)],
        "cardinality": [(2, {})],
        "base_width": [(32, {})],
        "expansion": [(2, {}), (0.5, {})],
        "group_width": [(2, {})],
        "first_reduction": [(2, {})],
        "spatial": [
            ("selective", SE),
            ("selective_split", SE),
            ("split", {}),
            ("multi_scale", {}),
            ("selective", {**SE, **BASIC}),
        ],
        "branches": [(4, {"spatial": "multi_scale"}), (1, {"spatial": "split"})],
        "attention": [
            ("eca", {}),
            ("inner_squeeze_excite", SE),
            ("inner_squeeze_excite", {**SE, **PRE}),
        ],
        "final_layer": [("activation", {}), (8, {})],
        "se_ratio": [(0.25, {}), (0.25, PRE)],
        "se_divisor": [(3, {"se_ratio": 0.25})],
        "drop_path_rate": [(0.5, {})],
        "shake_drop": [(True, {"drop_path_rate": 0.5})],
        "shake_shake": [(True, {})],
        "reversible": [(True, PRE), (True, {**PRE, "rematerialize": True})],
        "stage_strides": [((1, 3), {})],
        "zero_init_residual": [(True, {}), (True, PRE)],
        "conv_bias": [(True, PRE)],
        "execution": [("scanned", {"depths": (3, 4)})],
    },
    "DenseNet": {
        **{key: values for key, values in SHARED.items() if key != "depths"},
        "depths": [((2, 1, 1), {})],
        "growth_rate": [(6, {})],
        "bottleneck": [(0, {}), (2, {})],
        "compression": [(1.0, {})],
    },
    "FractalNet": {
        **{key: values for key, values in SHARED.items() if key != "depths"},
        "widths": [((4, 6, 8), {})],
        "columns": [(1, {}), (3, {})],
        "drop_path_rate": [(0.5, {})],
        "global_drop_path": [(0.5, {})],
        "stem": [("conv3", {})],
        "stem_width": [(6, {"stem": "conv3"})],
        "stem_pool": [(False, STEMS)],
        "pool_padding": [("zero", {"activation": "tanh", **STEMS})],
        "space_to_depth": [(True, STEMS)],
        "blur_pool": [(True, STEMS)],
        "output_stride": [(2, {})],
    },
    "HighwayNet": {
        **{key: SHARED[key] for key in CONVOLUTIONAL},
        "widths": [((8, 4), {})],
        "depths": [((1, 3), {})],
        "final_width": [(None, {}), (8, {})],
        "kernel_size": [(5, {})],
        "transform_bias": [(-3.0, {})],
        "normalization": [("batch", {}), ("group", {}), ("layer", {})],
        "norm_momentum": [(0.5, BATCH)],
        "norm_epsilon": [(0.1, BATCH)],
    },
    "DPN": {
        **{key: values for key, values in SHARED.items() if key != "depths"},
        "depths": [((2, 1), {})],
        "growth_rates": [((2, 4), {})],
        "widths": [((8, 4), {}), (None, {})],
        "base_width": [(6, {})],
        "cardinality": [(1, {})],
        "split_last": [(True, {})],
    },
}
CASES = [
    pytest.param(
        family, option, value, companions, id=f"{family}-{option}={printed(value)}-{index}"
    )
    for family, options in OPTIONS.items()
    for option, settings in options.items()
    for index, (value, companions) in enumerate(settings)
]


def make(family, **options):
    arguments = {"input_shape": SHAPE, "classes": 3, **BASES[family], **options}
    if arguments.get("widths", ()) is None:
        del arguments["widths"]
    return getattr(keras_residual, family)(**arguments)


def config_of(model):
    return json.dumps(model.get_config())


def test_every_option_is_covered():
    for family, architecture in ARCHITECTURES.items():
        fields = {field.name for field in dataclasses.fields(architecture)}
        common = {"dtype", "data_format", "features", "include_preprocessing"}
        assert set(OPTIONS[family]) == fields | common


@pytest.mark.parametrize(("family", "option", "value", "companions"), CASES)
def test_option_changes_the_network_and_is_saved(family, option, value, companions, tmp_path):
    model = make(family, **{option: value}, **companions)
    base = make(family, **companions) if option != "data_format" else make(family)
    assert config_of(model) != config_of(base)
    set_sequential_weights(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert config_of(loaded) == config_of(model)
    x = ramp(2, *model.input_shape[1:])
    outputs, again = model(x), loaded(x)
    for mine, other in zip(*map(keras.tree.flatten, (outputs, again)), strict=True):
        mine, other = map(keras.ops.convert_to_numpy, (mine, other))
        assert np.isfinite(mine.astype("float32")).all()
        np.testing.assert_array_equal(mine, other)


SAME_FUNCTION = [
    ("ResNet", {"space_to_depth": True}),
    ("ResNet", {"rematerialize": True}),
    ("ResNet", {"execution": "scanned"}),
    ("DenseNet", {"space_to_depth": True}),
    ("DenseNet", {"rematerialize": True}),
    ("DPN", {"rematerialize": True}),
]


@pytest.mark.parametrize(("family", "options"), SAME_FUNCTION, ids=str)
def test_option_of_execution_keeps_the_function(family, options):
    depths = {"depths": (3, 4)} if family == "ResNet" else {}
    models = [make(family, **depths), make(family, **depths, **options)]
    for model in models:
        set_sequential_weights(model)
    outputs = [run(model, ramp(2, *SHAPE)) for model in models]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-6)


PAIR = np.array([1, 2])
POSITIVE = (0, -1, 2.5, "8", True, None, float("nan"), 10**30, PAIR)
FLAG = (1, "yes", None, PAIR)
NAME = ("unheard_of", 3, None, PAIR)
ROW = (0, "12", (), (1, 0), (1, 2.5), (1, 10**30), None, keras.Input((4, 4, 3)))
RATE = (-0.1, 1.0, "half", None)
WRONG_SHARED = {
    "stem": NAME,
    "stem_width": POSITIVE,
    "stem_pool": FLAG,
    "pool_padding": NAME,
    "space_to_depth": FLAG,
    "dropout_rate": RATE,
    "blur_pool": FLAG,
    "output_stride": (0, 3, 64, "8", 2.0),
    "normalization": NAME,
    "activation": ("unheard_of", 3, PAIR),
    "norm_momentum": (-0.1, 1.1, "high", None),
    "norm_epsilon": (-1e-5, 2.0, "low", None),
    "kernel_initializer": ("unheard_of", 3),
    "kernel_regularizer": ("unheard_of", 3),
    "weight_standardization": FLAG,
    "rematerialize": FLAG,
    "dtype": ("float31", 3, "int32", "string"),
    "data_format": ("NHWC", 3),
    "features": ("C3", 3, ("C9",), (3,), [["C3"]], None),
    "include_preprocessing": FLAG,
    "include_top": FLAG,
    "pooling": ("sum", 3, True),
    "classes": POSITIVE,
    "classifier_activation": ("unheard_of", 3),
    "name": ("", 3, None),
    "input_shape": (3, "16", (16,), (0, 16, 3), (16, 16, None), (1, 2, 3, 4, 5)),
    "input_tensor": (3, "image", np.zeros((1, 16, 16, 3), "float32")),
    "depths": ROW,
}
WRONG = {
    "ResNet": {
        **WRONG_SHARED,
        **wrong_values.of_blocks(POSITIVE, NAME),
        "block": NAME,
        "widths": (0, "12", (), (1, 0), (1, 2.5), (4,), (4, 8, 16)),
        "strided_block": NAME,
        "kernel_sizes": (3, "33", (), (3, 0), None),
        "normalize_identity": FLAG,
        "share_preactivation": FLAG,
        "final_layer": ("unheard_of", 0, 2.5, None),
        "drop_path_rate": RATE,
        "shake_drop": FLAG,
        "shake_shake": FLAG,
        "reversible": FLAG,
        "stage_strides": (2, "22", (), (1,), (1, 0)),
        "zero_init_residual": FLAG,
        "conv_bias": FLAG,
        "shortcut_levels": (0, 4, 1.5, "2", None),
    },
    "DenseNet": {
        **WRONG_SHARED,
        "growth_rate": POSITIVE,
        "bottleneck": (-1, 1.5, "4", None),
        "compression": (0.0, -0.5, 1.5, "half", None),
    },
    "FractalNet": {
        **{key: values for key, values in WRONG_SHARED.items() if key != "depths"},
        "widths": (0, "12", (), (1, 0), (1, 2.5)),
        "columns": POSITIVE,
        "drop_path_rate": RATE,
        "global_drop_path": (-0.1, 1.1, "half", None),
    },
    "HighwayNet": {
        **{key: WRONG_SHARED[key] for key in CONVOLUTIONAL if key in WRONG_SHARED},
        **{key: WRONG_SHARED[key] for key in ("normalization", "norm_momentum", "norm_epsilon")},
        "widths": (0, "12", (), (1, 0), (1, 2.5)),
        "depths": (0, "12", (), (1, 0), (1, 2.5), (1, 2, 3)),
        "final_width": (0, 2.5, "8"),
        "kernel_size": POSITIVE,
        "transform_bias": ("low", None),
    },
    "DPN": {
        **WRONG_SHARED,
        "growth_rates": (*ROW, (1, 2, 3)),
        "widths": (0, "12", (), (1, 0), (1, 2.5), (4, 8, 16)),
        "base_width": POSITIVE,
        "cardinality": POSITIVE,
        "split_last": FLAG,
    },
}
WRONG_CASES = [
    pytest.param(family, option, value, id=f"{family}-{option}={value!r:.20}-{index}")
    for family, options in WRONG.items()
    for option, values in options.items()
    for index, value in enumerate(values)
]


def test_integers_of_numpy_are_integers():
    sizes = {"depths": np.array([1, 1]), "widths": (np.int64(4), np.int32(8))}
    model = make("ResNet", **sizes, stem_width=np.uint8(4), classes=np.int64(3))
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize(("family", "option", "value"), WRONG_CASES)
def test_wrong_option_is_named(family, option, value):
    companions = BASIC if option == "kernel_sizes" else {}
    with pytest.raises(ValueError, match=f"`{option}`") as error:
        make(family, **companions, **{option: value})
    message = str(error.value)
    assert option == "input_tensor" or f"{option}={value!r}" in message


def test_wrong_options_cover_every_option():
    for family in WRONG:
        assert set(OPTIONS[family]) <= set(WRONG[family])


CONTRADICTIONS = [
    ({"zero_init_residual": True, "shortcut": "none"}, "zero_init_residual"),
    ({"block": "basic", "cardinality": 2}, "cardinality"),
    ({"block": "basic", "base_width": 128}, "base_width"),
    ({"block": "basic", "strided_conv": "conv1"}, "strided_conv"),
    ({"block": "basic", "spatial": "split"}, "spatial"),
    ({"attention": "eca", "se_ratio": 0.5}, "se_ratio"),
    ({"spatial": "selective"}, "se_ratio"),
    ({"reversible": True}, "reversible"),
    ({"reversible": True, "activation_order": "pre", "shortcut": "none"}, "reversible"),
    ({"reversible": True, "activation_order": "pre", "execution": "scanned"}, "execution"),
    ({"shake_shake": True, "drop_path_rate": 0.1}, "shake_shake"),
    ({"shake_shake": True, "se_ratio": 0.5}, "shake_shake"),
    ({"group_width": 3}, "group_width"),
    ({"widths": (4, 6), "expansion": 0.75}, "expansion"),
    ({"kernel_sizes": (5, 5)}, "kernel_sizes"),
    ({"depths": (1, 2, 3)}, "widths"),
    ({"base_width": 4}, "base_width"),
    ({"shortcut": "pad", "stem_width": 64}, "shortcut"),
    ({"output_stride": 2}, "output_stride"),
    ({"shortcut": "pooled", "stage_strides": (1, 3)}, "strides"),
    ({"input_shape": (4, 16, 3)}, "input_shape"),
]


@pytest.mark.parametrize(("options", "named"), CONTRADICTIONS, ids=str)
def test_contradiction_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        make("ResNet", **options)


def test_unknown_option_answers_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean cardinality"):
        ResNet(cardinalty=2)
    with pytest.raises(ValueError, match="Did you mean growth_rate"):
        keras_residual.DenseNet121(growthrate=2)
    with pytest.raises(ValueError, match="execution"):
        DenseNet(execution="scanned")


def test_input_shape_must_be_that_of_the_input_tensor():
    inputs = keras.Input((16, 16, 3))
    with pytest.raises(ValueError, match=r"`input_shape` .*\(16, 16, 3\).* Received: .*8"):
        make("ResNet", input_shape=(8, 8, 3), input_tensor=inputs)
    assert make("ResNet", input_tensor=inputs).inputs[0] is inputs


def test_input_tensor_may_come_of_several_inputs():
    left, right = keras.Input((16, 16, 1), name="left"), keras.Input((16, 16, 2), name="right")
    both = keras.layers.Concatenate()([left, right])
    model = make("ResNet", input_tensor=both, input_shape=None)
    assert [inputs.name for inputs in model.inputs] == ["left", "right"]
    assert model([ramp(2, 16, 16, 1), ramp(2, 16, 16, 2)]).shape == (2, 3)


@pytest.mark.parametrize("shape", [(None, 3), (None, 4, 4, 4, 4, 3)])
def test_input_tensor_of_another_rank_is_refused(shape):
    with pytest.raises(ValueError, match="`input_tensor`"):
        make("ResNet", input_shape=None, input_tensor=keras.Input(batch_shape=shape))
