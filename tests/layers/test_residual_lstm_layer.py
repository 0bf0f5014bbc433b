"""`ResidualLSTM` is a good Keras layer: shapes, saving, training, weights, errors."""

import keras
import numpy as np
import pytest
from keras import ops
from layers.residual_lstm_reference import IMPLEMENTATIONS
from support import ramp, to_numpy

from keras_residual.layers.lstm.residual_lstm import ResidualLSTM

# JAX has no float64 unless it is switched on for the whole process.
OTHER_DTYPES = ["mixed_bfloat16", "mixed_float16"] + (
    [] if keras.backend.backend() == "jax" else ["float64"]
)
SETTINGS = {
    "units": 5,
    "num_layers": 3,
    "first_residual": 0,
    "implementation": "wavefront",
    "residual_projection": True,
    "bidirectional_bottom": True,
    "rematerialize": True,
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": False,
    "kernel_initializer": "he_normal",
    "recurrent_initializer": "glorot_uniform",
    "bias_initializer": "ones",
    "unit_forget_bias": False,
    "kernel_regularizer": "l2",
    "recurrent_regularizer": "l1",
    "bias_regularizer": "l2",
    "activity_regularizer": "l1",
    "kernel_constraint": "max_norm",
    "recurrent_constraint": "unit_norm",
    "bias_constraint": "non_neg",
    "dropout": 0.1,
    "recurrent_dropout": 0.2,
    "seed": 3,
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
}


def test_config_holds_every_argument_before_and_after_build():
    names = set(ResidualLSTM.argument_names())
    assert names == set(SETTINGS)
    defaults = ResidualLSTM(4).get_config()
    layer = ResidualLSTM(**SETTINGS)
    config = layer.get_config()
    assert all(config[name] != defaults[name] for name in names)
    layer.build((2, 4, 3))
    assert layer.get_config() == config
    assert ResidualLSTM.from_config(config).get_config() == config


def test_a_plain_stack_keeps_none_in_its_config():
    layer = ResidualLSTM(4, num_layers=2, first_residual=None)
    assert ResidualLSTM.from_config(layer.get_config()).first_residual is None


@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_shapes_agree_symbolically_and_eagerly(return_sequences, return_state):
    layer = ResidualLSTM(
        4, num_layers=2, return_sequences=return_sequences, return_state=return_state
    )
    eager = layer(ramp(2, 5, 3))
    symbolic = layer(keras.Input((5, 3), batch_size=2))
    computed = layer.compute_output_shape((2, 5, 3))
    if not return_state:
        eager, symbolic, computed = [eager], [symbolic], [computed]
    assert [tuple(v.shape) for v in eager] == [tuple(v.shape) for v in symbolic] == list(computed)
    assert [keras.backend.standardize_dtype(v.dtype) for v in eager] == [v.dtype for v in symbolic]


@pytest.mark.parametrize(
    "options",
    [
        {"implementation": "wavefront"},
        {"implementation": "layerwise", "first_residual": 0, "residual_projection": True},
        {"bidirectional_bottom": True, "first_residual": 2, "dropout": 0.2},
    ],
)
def test_a_saved_model_comes_back_with_the_same_outputs(options, tmp_path):
    inputs = keras.Input((None, 3))
    layer = ResidualLSTM(4, num_layers=3, **options)
    model = keras.Model(inputs, keras.layers.Dense(2)(layer(inputs)))
    for index, weight in enumerate(model.weights):
        weight.assign(0.5 * ramp(*weight.shape, offset=index))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(to_numpy(loaded(ramp(2, 5, 3))), to_numpy(model(ramp(2, 5, 3))))


def test_states_are_inputs_of_a_functional_model(tmp_path):
    inputs = [keras.Input((None, 3)), *(keras.Input((4,)) for _ in range(4))]
    layer = ResidualLSTM(4, num_layers=2, return_sequences=True, return_state=True)
    model = keras.Model(inputs, layer(inputs[0], initial_state=inputs[1:]))
    x, states = ramp(2, 6, 3), [np.zeros((2, 4), "float32")] * 4
    whole = [to_numpy(v) for v in model([x, *states])]
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    first, *middle = model([x[:, :2], *states])
    second, *last = model([x[:, 2:], *(to_numpy(v) for v in middle)])
    parts = np.concatenate([to_numpy(first), to_numpy(second)], axis=1)
    np.testing.assert_allclose(parts, whole[0], atol=1e-6)
    for received, expected in zip(last, whole[1:], strict=True):
        np.testing.assert_allclose(to_numpy(received), expected, atol=1e-6)


def test_keras_can_run_the_stack_in_both_directions():
    layer = keras.layers.Bidirectional(ResidualLSTM(4, num_layers=2, return_sequences=True))
    x = ramp(2, 5, 3)
    output = to_numpy(layer(x))
    np.testing.assert_allclose(output[..., :4], to_numpy(layer.forward_layer(x)), atol=1e-6)
    backward = to_numpy(layer.backward_layer(x))
    np.testing.assert_allclose(output[..., 4:], backward[:, ::-1], atol=1e-6)
    turned = ResidualLSTM(4, num_layers=2, return_sequences=True)
    turned.build((None, None, 3))
    turned.set_weights(layer.backward_layer.get_weights())
    np.testing.assert_allclose(backward, to_numpy(turned(x[:, ::-1])), atol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_training_lowers_the_loss(implementation, policy):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, 3))
    layer = ResidualLSTM(8, num_layers=3, implementation=implementation, dropout=0.1, dtype=policy)
    outputs = keras.layers.Dense(1, dtype="float32")(layer(keras.layers.Masking()(inputs)))
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.Adam(0.02)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**8)
    model.compile(optimizer, "mse")
    x = ramp(16, 6, 3)
    x[:4, 4:] = 0.0
    y = x.mean(axis=(1, 2), keepdims=False)[:, None] * 5 + 1
    losses = model.fit(x, y, batch_size=8, epochs=8, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX tells how much memory a step will need"
)
def test_rematerialize_keeps_the_wavefront_within_the_memory_of_the_layerwise_form():
    def memory(implementation, rematerialize):
        import jax

        layer = ResidualLSTM(
            32,
            num_layers=8,
            implementation=implementation,
            rematerialize=rematerialize,
            return_sequences=True,
        )
        layer.build((None, None, 32))
        other = [v.value for v in layer.non_trainable_variables]

        def loss(trainable, x):
            return ops.sum(layer.stateless_call(trainable, other, x, training=True)[0] ** 2)

        weights = [v.value for v in layer.trainable_variables]
        compiled = jax.jit(jax.grad(loss)).lower(weights, ops.zeros((16, 96, 32))).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    layerwise = memory("layerwise", False)
    assert memory("wavefront", True) <= layerwise < memory("wavefront", False)
    assert memory("layerwise", True) < 0.9 * layerwise


@pytest.mark.parametrize("dtype", OTHER_DTYPES)
def test_other_dtypes_stay_near_float32(dtype):
    exact, other = (
        ResidualLSTM(4, num_layers=3, return_sequences=True, return_state=True, dtype=d)
        for d in ("float32", dtype)
    )
    for layer in (exact, other):
        layer.build((None, None, 3))
        for index, weight in enumerate(layer.weights):
            weight.assign(0.5 * ramp(*weight.shape, offset=index))
    for implementation in IMPLEMENTATIONS:
        other.implementation = implementation
        for a, b in zip(other(ramp(2, 5, 3)), exact(ramp(2, 5, 3)), strict=True):
            assert keras.backend.standardize_dtype(a.dtype) == other.compute_dtype
            np.testing.assert_allclose(to_numpy(a), to_numpy(b), atol=2e-2)


def test_regularizers_apply_to_every_layer():
    layer = ResidualLSTM(4, num_layers=2, kernel_regularizer=keras.regularizers.L2(0.5))
    layer(ramp(2, 5, 3))
    expected = sum(0.5 * np.sum(layer.get_lstm_weights(i)[0] ** 2) for i in range(2))
    np.testing.assert_allclose(to_numpy(sum(layer.losses)), expected, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles all of a model")
def test_small_steps_are_compiled_in_a_model_that_is_not():
    import tensorflow as tf

    from keras_residual.layers._loops.backends import compiled
    from keras_residual.layers.lstm.stack import compiling_pays

    layer = ResidualLSTM(6, 3, return_sequences=True, dropout=0.2)
    x = tf.constant(ramp(2, 9, 5))

    def outputs_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x)
        return outputs, tape.gradient(outputs, x)

    plain = outputs_and_gradient(x)
    before = compiled.cache_info().misses
    quick = tf.function(outputs_and_gradient)(x)
    assert compiled.cache_info().misses > before
    for one, other in zip(plain, quick, strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), atol=1e-6)
    # A number of steps that is not known would be compiled again and again.
    before = compiled.cache_info().misses
    signature = [tf.TensorSpec((None, None, 5))]
    open_length = tf.function(outputs_and_gradient, input_signature=signature)(x)
    assert compiled.cache_info().misses == before
    np.testing.assert_allclose(to_numpy(open_length[0]), to_numpy(plain[0]), atol=1e-6)
    with tf.Graph().as_default():
        assert compiling_pays(256, (128, 256, 256)) and not compiling_pays(256, (128, 257, 256))
        assert compiling_pays(128, (128, None, 128)) and not compiling_pays(128, (None, 1, 128))
