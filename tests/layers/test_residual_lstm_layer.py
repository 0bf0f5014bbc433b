"""`ResidualLSTM` is a good Keras layer: shapes, saving, training, weights, errors."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops
from support import ramp, to_numpy

from keras_residual.layers.residual_lstm import ResidualLSTM

IMPLEMENTATIONS = ("layerwise", "wavefront")
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
    names = set(inspect.signature(ResidualLSTM).parameters) - {"kwargs"}
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


def test_weights_are_kernel_recurrent_kernel_and_bias_of_each_layer():
    layer = ResidualLSTM(4, num_layers=3, name="stack", stateful=True)
    layer.build((2, None, 3))
    expected = [
        f"stack/layer_{i}/{name}"
        for i in range(3)
        for name in ("kernel", "recurrent_kernel", "bias")
    ]
    assert [weight.path for weight in layer.trainable_weights] == expected
    assert [w.shape for w in layer.get_lstm_weights(1)] == [(4, 16), (4, 16), (16,)]


def test_states_stay_out_of_saved_weights(tmp_path):
    stateful = ResidualLSTM(4, num_layers=2, stateful=True)
    model = keras.Sequential([keras.Input((None, 3), batch_size=2), stateful])
    model(ramp(2, 5, 3))
    model.save_weights(tmp_path / "weights.weights.h5")
    stateless = keras.Sequential([keras.Input((None, 3)), ResidualLSTM(4, num_layers=2)])
    stateless.load_weights(tmp_path / "weights.weights.h5")
    stateful.reset_state()
    np.testing.assert_allclose(
        to_numpy(stateless(ramp(2, 5, 3))), to_numpy(model(ramp(2, 5, 3))), rtol=1e-6
    )


def test_layers_start_from_different_weights_with_the_forget_gate_open():
    layer = ResidualLSTM(4, num_layers=3, kernel_initializer=keras.initializers.GlorotNormal(1))
    layer.build((None, None, 4))
    kernels = [layer.get_lstm_weights(i)[0] for i in range(3)]
    assert not np.allclose(kernels[0], kernels[1])
    assert not np.allclose(kernels[1], kernels[2])
    np.testing.assert_array_equal(layer.get_lstm_weights(2)[2], np.repeat([0, 1, 0, 0], 4))


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


def test_weights_go_to_keras_layers_and_come_back():
    ours = ResidualLSTM(4, num_layers=3, bidirectional_bottom=True, first_residual=2)
    again = ResidualLSTM(4, num_layers=3, bidirectional_bottom=True, first_residual=2)
    for layer in (ours, again):
        layer.build((None, None, 3))
    theirs = [keras.layers.Bidirectional(keras.layers.LSTM(4)), *map(keras.layers.LSTM, (4, 4))]
    theirs[0].build((None, None, 3))
    ours.copy_to_keras(theirs)
    again.copy_from_keras(theirs)
    for received, expected in zip(again.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_weights_come_from_torch_modules_and_go_back():
    torch = pytest.importorskip("torch", reason="PyTorch is the extra `torch`")
    modules = [torch.nn.LSTM(3, 4, batch_first=True), torch.nn.LSTM(4, 4, batch_first=True)]
    layer = ResidualLSTM(4, num_layers=2, return_sequences=True)
    layer.build((None, None, 3))
    layer.copy_from_torch(modules)
    x = ramp(2, 5, 3)
    with torch.no_grad():
        first = modules[0].cpu()(torch.tensor(x))[0]
        expected = (first + modules[1].cpu()(first)[0]).numpy()
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-6)

    single = torch.nn.LSTM(3, 4, num_layers=2)
    layer.copy_to_torch(single)
    other = ResidualLSTM(4, num_layers=2)
    other.build((None, None, 3))
    other.copy_from_torch(single.state_dict())
    for received, weight in zip(other.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_allclose(received, weight, atol=1e-7)


def test_weights_of_a_bidirectional_torch_module_fit_the_bottom():
    torch = pytest.importorskip("torch", reason="PyTorch is the extra `torch`")
    modules = [torch.nn.LSTM(3, 4, bidirectional=True), torch.nn.LSTM(8, 4)]
    layer = ResidualLSTM(4, num_layers=2, first_residual=2, bidirectional_bottom=True)
    layer = ResidualLSTM.from_config({**layer.get_config(), "return_sequences": True})
    layer.build((None, None, 3))
    layer.copy_from_torch(modules)
    x = ramp(5, 2, 3)
    with torch.no_grad():
        expected = modules[1].cpu()(modules[0].cpu()(torch.tensor(x))[0])[0].numpy()
    np.testing.assert_allclose(
        to_numpy(layer(x.transpose(1, 0, 2))), expected.transpose(1, 0, 2), atol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units` must be a positive integer"),
        ({"units": 4.0}, "`units` must be a positive integer"),
        ({"num_layers": 0}, "`num_layers` must be a positive integer. Received: num_layers=0"),
        ({"first_residual": -1}, "`first_residual` must be a non-negative integer"),
        ({"implementation": "fast"}, "`implementation` must be one of .*'fast'"),
        ({"seed": "a"}, "`seed` must be a non-negative integer"),
        ({"implementation": 2}, "`implementation` must be one of"),
        ({"dropout": 1.0}, "`dropout` must be a number in"),
        ({"recurrent_dropout": -0.1}, "`recurrent_dropout` must be a number in"),
        ({"return_state": 1}, "`return_state` must be True or False"),
        ({"use_bias": None}, "`use_bias` must be True or False"),
        ({"bidirectional_bottom": True}, "`bidirectional_bottom` needs a layer above"),
        ({"activation": "no such"}, "no such"),
        ({"time_major": True}, "time_major"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResidualLSTM(**{"units": 4, **arguments})


@pytest.mark.parametrize("call", ["eager", "symbolic"])
@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((2, 3), {}, "expected ndim=3"),
        ((2, 5, 2, 3), {}, "expected ndim=3"),
        ((2, 5, 3), {"mask": np.ones((2, 4), "bool")}, r"`mask` must have .*\(2, 5\).*\(2, 4\)"),
        ((2, 5, 3), {"mask": np.ones((2, 5, 1), "bool")}, "`mask` must have the shape"),
        ((2, 5, 3), {"mask": [[True] * 5] * 2}, "`mask` must be a tensor"),
        ((2, 5, 3), {"initial_state": [None] * 4}, r"`initial_state\[0\]` must be a tensor"),
        (
            (2, 5, 3),
            {"initial_state": [np.ones((2, 4))] * 2},
            "`initial_state` must hold 4 tensors",
        ),
        ((2, 5, 3), {"initial_state": np.ones((4, 2, 4))}, "`initial_state` must be a list of 4"),
        (
            (2, 5, 3),
            {"initial_state": [np.ones((2, 4))] * 3 + [np.ones((2, 3))]},
            r"`initial_state\[3\]` must have the shape \(2, 4\)",
        ),
    ],
)
def test_wrong_inputs_are_named(call, shape, arguments, message):
    layer = ResidualLSTM(4, num_layers=2)
    x = ramp(*shape) if call == "eager" else keras.KerasTensor(shape)
    with pytest.raises(ValueError, match=message):
        layer(x, **arguments)


def test_widths_that_do_not_fit_are_named():
    layer = ResidualLSTM(4)
    layer(ramp(2, 5, 3))
    with pytest.raises(ValueError, match=r"axis -1 .* value 3, .*\(2, 5, 6\)"):
        layer(ramp(2, 5, 6))
    for shape in ((2, 6), (2, 5, 3)):
        with pytest.raises(ValueError, match=r"`inputs` must be one step, \(batch, 3\)"):
            layer.step(ramp(*shape), layer.get_initial_state(2))
    with pytest.raises(ValueError, match=r"3 wide and the output 4.*residual_projection=True"):
        ResidualLSTM(4, first_residual=0).build((None, None, 3))
    with pytest.raises(ValueError, match="8 wide and the output 4"):
        ResidualLSTM(4, num_layers=2, bidirectional_bottom=True).build((None, None, 3))
    with pytest.raises(ValueError, match="known number of features"):
        ResidualLSTM(4).build((None, None, None))


def test_states_that_do_not_fit_are_named():
    layer = ResidualLSTM(4, stateful=True)
    with pytest.raises(ValueError, match="fixed batch size"):
        layer.build((None, None, 3))
    layer = ResidualLSTM(4, stateful=True)
    layer(ramp(2, 5, 3))
    with pytest.raises(ValueError, match="Received: a batch of 3"):
        layer(ramp(3, 5, 3))
    with pytest.raises(ValueError, match="`states` must hold 2 tensors"):
        layer.step(ramp(2, 3), layer.get_initial_state(2)[:1])
    both = ResidualLSTM(4, num_layers=2, bidirectional_bottom=True, first_residual=2)
    with pytest.raises(ValueError, match="bidirectional_bottom=True"):
        both.step(ramp(2, 3), [])


def test_weights_that_do_not_fit_are_named():
    layer = ResidualLSTM(4, num_layers=2)
    with pytest.raises(ValueError, match="has no weights yet"):
        layer.get_lstm_weights(0)
    layer.build((None, None, 3))
    with pytest.raises(ValueError, match=r"`index` must be one of 0, 1\. Received: index=2"):
        layer.get_lstm_weights(2)
    with pytest.raises(ValueError, match="needs a bidirectional layer"):
        layer.get_lstm_weights(0, backward=True)
    with pytest.raises(ValueError, match=r"`weights` of layer 0 must have the shapes \[\(3, 16\)"):
        layer.set_lstm_weights(0, [np.ones((4, 16))] * 3)
    with pytest.raises(ValueError, match="`weights` must be a list"):
        layer.set_lstm_weights(0, None)
    with pytest.raises(ValueError, match=r"`lstms\[0\]` must be a keras.layers.LSTM"):
        layer.copy_from_keras([keras.layers.GRU(4)] * 2)
    with pytest.raises(ValueError, match="state dict is needed"):
        layer.copy_from_torch(3)
    with pytest.raises(ValueError, match="`lstms` must be a list of 2 layers"):
        layer.copy_from_keras([keras.layers.LSTM(4)])
    with pytest.raises(ValueError, match="has no parameter 'weight_ih_l0'"):
        layer.copy_from_torch({"weight": np.ones((2, 2))})
    with pytest.raises(ValueError, match="must have 2 layers in all"):
        layer.copy_from_torch({"weight_ih_l2": np.ones((2, 2))})
    with pytest.raises(ValueError, match="'weight_ih_l0' of shape"):
        layer.copy_to_torch({"weight_ih_l0": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"`lstms\[0\]` must have weights"):
        wrong = [keras.layers.LSTM(3), keras.layers.LSTM(4)]
        layer.copy_to_keras(wrong)


def test_unrolling_needs_a_known_number_of_steps():
    layer = ResidualLSTM(4, unroll=True)
    with pytest.raises(ValueError, match="`unroll=True` needs a known number of time steps"):
        layer(keras.Input((None, 3)))
    assert layer(keras.Input((5, 3))).shape == (None, 4)
    assert ops.shape(layer(ramp(2, 5, 3))) == (2, 4)
