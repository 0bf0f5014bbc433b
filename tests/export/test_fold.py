"""A folded model computes the same with fewer operations, and can be saved."""

import keras
import numpy as np
import pytest
from cases import FAMILIES
from support import set_sequential_weights, to_numpy

import keras_residual
from keras_residual import export

L = keras.layers


def images(*shape, count=2):
    return np.random.default_rng(0).random((count, *shape), np.float32)


def assert_same(model, folded, data, bound=1e-5):
    results = [keras.tree.flatten(each(data, training=False)) for each in (model, folded)]
    for ours, theirs in zip(*results, strict=True):
        ours, theirs = to_numpy(ours), to_numpy(theirs)
        assert np.abs(ours - theirs).max() <= bound * np.abs(ours).max()


def has_statistics(model):
    return any("moving_" in weight.path for weight in model.weights)


# The others differ in what `test_every_option_folds` has.
QUICK = ("DenseNetBC100_12", "ResNet1D", "ResNet1001V2", "ResNet50V2")


def _family(case):
    marks = () if case.name in QUICK else (pytest.mark.slow,)
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [_family(case) for case in FAMILIES])
def test_every_family_folds(case):
    model = case.make()
    set_sequential_weights(model)
    folded = export.fold(model)
    assert_same(model, folded, images(*model.input_shape[1:]))
    assert not has_statistics(folded)
    assert folded.folding.folded and not folded.folding.kept
    assert folded.count_params() < model.count_params()


@pytest.mark.parametrize(
    "options",
    [
        {"activation_order": "pre", "share_preactivation": True},
        {"shortcut": "pooled", "blur_pool": True, "stem": "deep"},
        {"se_ratio": 0.25, "block": "bottleneck", "cardinality": 4, "base_width": 32},
        {"normalize_identity": True, "data_format": "channels_first", "input_shape": (3, 16, 16)},
        {"strided_block": "last", "activation_order": "pre", "conv_bias": True},
        {"drop_path_rate": 0.2, "dropout_rate": 0.3, "rematerialize": True},
        {"drop_path_rate": 0.4, "shake_drop": True, "activation_order": "pyramid"},
        {"shake_shake": True, "activation_order": "leading", "shortcut": "shifted"},
        {"activation_order": "outer", "shortcut": "half", "block": "basic"},
        {"activation_order": "pre", "reversible": True, "rematerialize": True},
        {"space_to_depth": True, "norm_epsilon": 0.01},
        {"features": True},
        {"weight_standardization": True, "block": "bottleneck", "attention": "eca"},
        {"spatial": "selective", "se_ratio": 0.5, "blur_pool": "average", "stem_pool": "conv3"},
        {"spatial": "split", "block": "bottleneck", "blur_pool": "average3_before"},
        {"spatial": "multi_scale", "block": "bottleneck", "final_layer": 8},
        {"attention": "inner_squeeze_excite", "se_ratio": 0.5, "activation_order": "pre"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_option_folds(options):
    options = {"block": "basic", "input_shape": (16, 16, 3), **options}
    model = keras_residual.ResNet(depths=(2, 1), widths=(8, 16), stem_width=8, classes=5, **options)
    set_sequential_weights(model)
    folded = export.fold(model)
    assert_same(model, folded, images(*options["input_shape"]))
    assert not has_statistics(folded)


def test_what_has_no_exact_fold_is_left():
    options = {"depths": (1,), "widths": (8,), "stem_width": 8, "input_shape": (16, 16, 3)}
    model = keras_residual.ResNet("basic", normalization="group", classes=3, **options)
    set_sequential_weights(model)
    folded = export.fold(model)
    assert_same(model, folded, images(16, 16, 3))
    assert not folded.folding.folded
    assert "gamma" in {weight.name for weight in folded.weights}


def test_a_pre_activation_network_says_what_became_of_its_normalizations():
    model = keras_residual.ResNet(
        "basic", (1, 1), (4, 8), activation_order="pre", input_shape=(16, 16, 3), classes=3
    )
    folding = export.fold(model).folding
    assert folding.folded == ("stage1/block1/conv1/norm", "stage2/block1/conv1/norm")
    assert folding.affine == (
        "stage1/block1/norm1/norm",
        "stage2/block1/norm1/norm",
        "final_norm/norm",
    )
    assert str(folding) == "2 normalizations folded, 3 turned to a scale and an offset"


def test_a_stem_is_computed_in_its_fastest_form():
    model = keras_residual.ResNet(
        "basic", (1,), (8,), stem_width=8, space_to_depth=True, input_shape=(16, 16, 3), classes=3
    )
    assert model.get_layer("stem").space_to_depth
    assert not export.fold(model).get_layer("stem").conv1.conv.space_to_depth


def test_a_folded_model_can_be_saved_and_trained(tmp_path):
    model = keras_residual.ResNet20(input_shape=(8, 8, 3), classes=3)
    set_sequential_weights(model)
    folded = export.fold(model)
    folded.save(tmp_path / "folded.keras")
    assert_same(model, keras.saving.load_model(tmp_path / "folded.keras"), images(8, 8, 3))
    folded.compile("sgd", "sparse_categorical_crossentropy")
    folded.fit(images(8, 8, 3), np.array([0, 1]), verbose=0)
    assert_same(model, export.fold(model), images(8, 8, 3))


class _Scaled(L.Conv2D):
    """A convolution whose call is its own, and whose configuration does not build it again."""

    def __init__(self, factor, **options):
        super().__init__(4, 3, **options)
        self.factor = factor

    def call(self, inputs):
        return self.factor * super().call(inputs)


class _Shifted(L.BatchNormalization):
    def call(self, inputs, training=None):
        return super().call(inputs, training=training) + 1.0


def _adapted(x):
    dense = L.Dense(4)
    x = dense(x)
    dense.enable_lora(1)
    return L.BatchNormalization()(x)


def _convolutions():
    """Every layer that a normalization folds into, and every place where it does not."""
    x = inputs = keras.Input((8, 8, 4))
    for layer in (
        L.Conv2D(6, 3, padding="same", use_bias=False),
        L.Conv2D(8, 3, groups=2),
        L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        L.SeparableConv2D(6, 3, padding="same"),
        L.Conv2DTranspose(5, 2, strides=2),
        keras_residual.layers.Convolution(6, 3, strides=2),
    ):
        x = L.BatchNormalization()(layer(x))
    x = L.Dropout(0.5)(x)
    x = L.BatchNormalization(scale=False)(L.Dense(7)(x))
    x = L.GlobalAveragePooling2D()(L.ReLU()(x))
    return keras.Model(inputs, L.BatchNormalization(center=False)(L.Dense(3)(x)))


def test_every_layer_with_a_kernel_takes_a_normalization():
    model = _convolutions()
    set_sequential_weights(model)
    folded = export.fold(model)
    assert_same(model, folded, images(8, 8, 4))
    assert len(folded.folding.folded) == 8 and folded.folding.removed == ("dropout",)
    assert not has_statistics(folded)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: L.BatchNormalization()(L.Conv2D(4, 3, activation="relu")(x)),
        lambda x: L.BatchNormalization()(x),
        lambda x: L.BatchNormalization(axis=1)(L.Conv2D(4, 3)(x)),
        lambda x: L.Add()([y := L.Conv2D(4, 1)(x), L.BatchNormalization()(y)]),
        lambda x: L.BatchNormalization()(L.Conv2D(4, 3)(x), training=True),
        lambda x: [y := L.Conv2D(4, 3)(x), L.BatchNormalization()(y)],
        lambda x: L.Add()([(conv := L.Conv2D(4, 3))(x), L.BatchNormalization()(conv(x + 1))]),
        lambda x: L.BatchNormalization()(_Scaled(2.0)(x)),
        lambda x: _Shifted()(L.Conv2D(4, 3)(x)),
    ],
    ids=[
        *("activation", "input", "axis", "two takers", "training", "output", "shared"),
        *("own convolution", "own normalization"),
    ],
)
def test_where_folding_would_change_the_outputs_nothing_is_folded(make):
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, make(inputs))
    set_sequential_weights(model)
    folded = export.fold(model)
    assert len(folded.folding.kept) == 1 and not folded.folding.folded
    assert_same(model, folded, images(8, 8, 4))


def test_an_adapted_kernel_is_merged_and_folded():
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, _adapted(inputs))
    set_sequential_weights(model)
    folded = export.fold(model)
    assert len(folded.folding.folded) == 1
    assert not any("lora" in weight.name for weight in folded.weights)
    assert_same(model, folded, images(8, 8, 4))


def test_models_inside_models_are_folded():
    inner = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization()])
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Rescaling(1 / 255), inner, L.GlobalAveragePooling2D()]
    )
    set_sequential_weights(inner)
    folded = export.fold(model)
    assert_same(model, folded, images(8, 8, 3))
    assert not has_statistics(folded)


class _Unconfigured(L.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def test_dropout_stays_where_no_configuration_tells_how_it_is_called():
    inputs = keras.Input((8,))
    x = _Unconfigured(keras.ops.negative)(L.Dense(4)(inputs))
    model = keras.Model(inputs, L.Dropout(0.5)(x, training=True))
    with pytest.raises(NotImplementedError):
        model.get_config()
    folded = export.fold(model)
    assert not folded.folding.removed
    assert any(isinstance(layer, L.Dropout) for layer in folded.layers)


def test_dropout_that_is_always_on_stays():
    inputs = keras.Input((50,))
    model = keras.Model(inputs, L.Dropout(0.5)(inputs, training=True))
    folded = export.fold(model)
    assert not folded.folding.removed
    assert (to_numpy(folded(np.ones((1, 50), np.float32))) == 0).any()


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("MobileNetV2", {"alpha": 0.35, "input_shape": (32, 32, 3)}, 52),
        pytest.param("ResNet50", {"input_shape": (64, 64, 3)}, 53, marks=pytest.mark.slow),
        pytest.param("DenseNet121", {"input_shape": (64, 64, 3)}, 59, marks=pytest.mark.slow),
        pytest.param("EfficientNetB0", {"input_shape": (32, 32, 3)}, 49, marks=pytest.mark.slow),
    ],
)
def test_networks_of_keras_applications(name, options, count):
    model = getattr(keras.applications, name)(weights=None, **options)
    set_sequential_weights(model)
    folded = export.fold(model)
    assert len(folded.folding.folded) == count
    assert_same(model, folded, images(*options["input_shape"]))


@pytest.mark.parametrize("model", [keras.Sequential(), "model.keras", None])
def test_what_is_no_built_model_is_refused(model):
    with pytest.raises(ValueError, match="`model` must be a built functional or sequential model"):
        export.fold(model)
