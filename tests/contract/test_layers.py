"""Properties of every public layer: one small function per property, over all cases."""

import inspect
import json

import keras
import numpy as np
import pytest
from cases import INITIALIZERS, LAYERS
from support import (
    checkpoint_restores_every_weight,
    gradients,
    ramp,
    run,
    set_sequential_weights,
    to_numpy,
)

from keras_residual import layers


def built(case, **overrides):
    layer = case.make(**overrides)
    layer.build(case.shape)
    set_sequential_weights(layer)
    return layer


def saved_config(layer):
    """Returns the config as stored in a `.keras` file."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))


def arguments_of(layer_class):
    """Returns the names of all `__init__` arguments of a layer but those of every Keras layer."""
    names = []
    for base in layer_class.__mro__:
        if base is keras.layers.Layer:
            break
        if "__init__" in vars(base):
            names += inspect.signature(base.__init__).parameters
    return dict.fromkeys(n for n in names if n not in ("self", "args", "kwargs"))


def output_shape_is_inferred(case):
    layer = case.make()
    promised = layer.compute_output_shape(case.shape)
    symbolic = layer(keras.Input(batch_shape=case.shape))
    assert tuple(promised) == symbolic.shape == run(layer, ramp(*case.shape)).shape


def unknown_sizes_stay_unknown(case):
    layer = case.make()
    shape = tuple(None for _ in case.shape[:-1]) + case.shape[-1:]
    output = layer(keras.Input(batch_shape=shape))
    assert output.shape[:-1] == shape[:-1]
    assert output.shape[-1] == run(layer, ramp(*case.shape)).shape[-1]


def build_makes_every_weight(case):
    layer = case.make()
    layer.build(case.shape)
    before = [weight.path for weight in layer.weights]
    run(layer, ramp(*case.shape))
    assert [weight.path for weight in layer.weights] == before
    assert len(set(before)) == len(before)


def config_is_complete(case):
    settings = [case.arguments, *case.all_settings()]
    first, *others = [saved_config(case.make(**setting))["config"] for setting in settings]
    changed = {name for config in others for name in config if config[name] != first.get(name)}
    missing = set(arguments_of(case.layer_class)) - changed
    if case.name == "ResidualStage":
        missing -= {"block", "data_format"}  # the stage reads its data format off the block
    if case.name == "FactorizedBlock":
        missing -= {"blur_pool", "branches", "spatial"}  # no other values are accepted
    if case.name == "HighwayLSTM":
        missing -= {"bidirectional_bottom"}  # only False is accepted
    if case.name in ("BatchNorm", "SubSpectralNormalization"):
        own = {"axis", "momentum", "epsilon", "center", "scale", "sub_bands", "data_format"}
        missing &= own - ({"axis"} if case.name != "BatchNorm" else set())  # others are Keras' own
    assert not missing, f"get_config() does not hold {sorted(missing)}"


def config_makes_an_equal_layer(case):
    for setting in [case.arguments, *case.all_settings()]:
        config = saved_config(case.make(**setting))
        again = saved_config(keras.saving.deserialize_keras_object(config))
        assert again == config


def config_is_the_same_after_build(case):
    layer = case.make()
    before = saved_config(layer)["config"]
    run(layer, ramp(*case.shape))
    assert saved_config(layer)["config"] == before


def keras_file_gives_the_same_outputs(case, tmp_path):
    layer = built(case)
    inputs = keras.Input(batch_shape=case.shape)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [w.path for w in loaded.weights] == [w.path for w in model.weights]
    np.testing.assert_array_equal(run(loaded, ramp(*case.shape)), run(model, ramp(*case.shape)))


def tensorflow_checkpoint_restores_every_weight(case, tmp_path):
    other = case.make()
    other.build(case.shape)
    checkpoint_restores_every_weight(built(case), other, tmp_path)


def every_gradient_is_finite(case):
    layer = built(case)
    _, found = gradients(layer, ramp(*case.shape))
    for name, gradient in found.items():
        assert gradient is not None, f"{name} has no gradient"
        assert np.isfinite(gradient).all(), f"{name} has an infinite gradient"


# A normalization follows, which removes every shift: what is left is rounding, or nothing.
WITHOUT_GRADIENT = ("split_attention/reduce/conv/bias",)


def training_step_changes_every_weight(case):
    layer = built(case)
    inputs = keras.Input(batch_shape=case.shape)
    model = keras.Model(inputs, layer(inputs))
    if not model.trainable_weights:
        return
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    before = [to_numpy(weight) for weight in model.trainable_weights]
    target = ramp(*model.output_shape, offset=0.5)
    losses = [float(model.train_on_batch(ramp(*case.shape), target)) for _ in range(2)]
    assert np.isfinite(losses).all()
    if not case.random:
        assert losses[0] != losses[1]
    for weight, value in zip(model.trainable_weights, before, strict=True):
        if not weight.path.endswith(WITHOUT_GRADIENT):
            assert not np.array_equal(to_numpy(weight), value), f"{weight.path} did not change"


def half_precision_stays_close(case, policy, tolerance):
    expected = run(built(case), ramp(*case.shape))
    layer = built(case, dtype=policy)
    outputs = layer(ramp(*case.shape))
    assert keras.backend.standardize_dtype(outputs.dtype) == policy.removeprefix("mixed_")
    assert {w.dtype for w in layer.trainable_weights} <= {"float32"}
    np.testing.assert_allclose(to_numpy(outputs), expected, atol=tolerance)
    outputs, found = gradients(layer, ramp(*case.shape))
    assert np.isfinite(outputs).all()
    assert all(np.isfinite(gradient).all() for gradient in found.values())


def mixed_bfloat16_stays_close(case):
    half_precision_stays_close(case, "mixed_bfloat16", 0.06)


def mixed_float16_stays_close(case):
    half_precision_stays_close(case, "mixed_float16", 0.01)


def channels_first_equals_channels_last(case):
    x = ramp(*case.shape)
    expected, found = gradients(built(case), x)
    other = case.make(data_format="channels_first")
    other.build((case.shape[0], case.shape[-1], *case.shape[1:-1]))
    set_sequential_weights(other)
    outputs, found_first = gradients(other, np.moveaxis(x, -1, 1), channels_first=True)
    np.testing.assert_allclose(np.moveaxis(outputs, 1, -1), expected, atol=2e-5)
    pairs = zip(found.values(), found_first.values(), strict=True)
    for position, (last, first) in enumerate(pairs):
        first = np.moveaxis(first, 1, -1) if position == 0 else first
        # Small gradients are sums of large terms, which are rounded.
        rounding = 2e-6 * np.abs(last).max()
        np.testing.assert_allclose(first, last, atol=max(2e-4, rounding), rtol=1e-4)


def runs_in_one_and_three_dimensions(case):
    batch, *spatial, channels = case.shape
    for sizes in (spatial[:1], [*spatial, 5]):
        layer = case.make()
        outputs = run(layer, ramp(batch, *sizes, channels))
        assert outputs.shape == layer.compute_output_shape((batch, *sizes, channels))
        assert np.isfinite(outputs).all()


CHECKS = [
    output_shape_is_inferred,
    unknown_sizes_stay_unknown,
    build_makes_every_weight,
    config_is_complete,
    config_makes_an_equal_layer,
    config_is_the_same_after_build,
    keras_file_gives_the_same_outputs,
    tensorflow_checkpoint_restores_every_weight,
    every_gradient_is_finite,
    training_step_changes_every_weight,
    mixed_bfloat16_stays_close,
    mixed_float16_stays_close,
    channels_first_equals_channels_last,
    runs_in_one_and_three_dimensions,
]
SPATIAL = {channels_first_equals_channels_last, runs_in_one_and_three_dimensions}
ONCE_A_LAYER = {config_is_complete, config_makes_an_equal_layer}
# Slow to compile there, and the golden file already holds JAX's gradients and a 1-D network.
NOT_ON_JAX = {every_gradient_is_finite, runs_in_one_and_three_dimensions}


def applies(check, case):
    if check in NOT_ON_JAX and keras.backend.backend() == "jax":
        return False
    if check is tensorflow_checkpoint_restores_every_weight:
        return keras.backend.backend() == "tensorflow"
    if check is runs_in_one_and_three_dimensions and (case.planar or len(case.shape) == 5):
        return False
    if check in SPATIAL:
        return case.spatial and not case.random
    if check in ONCE_A_LAYER:
        return bool(case.settings)
    return not (case.random and check in (mixed_bfloat16_stays_close, mixed_float16_stays_close))


@pytest.mark.parametrize(
    ("case", "check"),
    [
        pytest.param(case, check, id=f"{case.id}-{check.__name__}")
        for case in LAYERS
        for check in CHECKS
        if applies(check, case)
    ],
)
def test_layer(case, check, tmp_path):
    arguments = (tmp_path,) if "tmp_path" in inspect.signature(check).parameters else ()
    check(case, *arguments)


def test_every_public_layer_has_a_case():
    assert {case.name for case in LAYERS} == set(layers.__all__) - set(INITIALIZERS)
