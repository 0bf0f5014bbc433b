"""`ResidualGRU`, `RecurrentHighway` and `HighwayLSTM` have the properties of `ResidualLSTM`."""

import keras
import numpy as np
import pytest
from layers.residual_lstm_reference import (
    KerasStack,
    assert_all_close,
    built,
    some_mask,
    starting_states,
    values_and_gradients,
)
from support import ramp, to_numpy

from keras_residual.layers import HighwayLSTM, RecurrentHighway, ResidualGRU

STACKS = [
    pytest.param({"layer_class": ResidualGRU, "num_layers": 2}, id="gru"),
    pytest.param({"layer_class": RecurrentHighway, "num_layers": 2}, id="highway"),
    pytest.param({"layer_class": HighwayLSTM, "num_layers": 2}, id="highway_lstm"),
]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 3, "first_residual": 0},
        {"num_layers": 2, "features": 3, "reset_after": False},
        {"num_layers": 2, "features": 3, "use_bias": False, "first_residual": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("masked", [False, True])
def test_gru_equals_a_stack_of_keras_layers(options, masked):
    layer = built(layer_class=ResidualGRU, **options)
    own = {key: options[key] for key in ("reset_after", "use_bias") if key in options}
    x, states = ramp(3, 5, layer.cells[0].kernel.shape[0]), ()
    mask = some_mask(3, 5) if masked else None
    if not masked:
        states = starting_states(layer, 3)
    received = values_and_gradients(layer, x, states, mask=mask)
    expected = values_and_gradients(KerasStack(layer, **own), x, states, mask=mask)
    assert_all_close(received[0], expected[0])
    assert_all_close(received[1], expected[1])


def test_gru_takes_the_weights_of_keras_and_of_pytorch():
    layer, x = built(3, ResidualGRU, num_layers=2, return_state=False), ramp(2, 5, 3)
    grus = [keras.layers.GRU(4, return_sequences=True) for _ in range(2)]
    layer.copy_to_keras(grus)
    y = grus[0](x)
    assert_all_close([to_numpy(grus[1](y) + y)], [to_numpy(layer(x))])
    other = built(3, ResidualGRU, num_layers=2, return_state=False)
    other.set_weights([0 * w for w in other.get_weights()])
    other.copy_from_keras(grus)
    assert_all_close([to_numpy(other(x))], [to_numpy(layer(x))])
    with pytest.raises(ValueError, match=r"`grus` must have reset_after=True"):
        layer.copy_from_keras([keras.layers.GRU(4, reset_after=False)] * 2)
    with pytest.raises(ValueError, match=r"`grus\[0\]` must be a keras.layers.GRU"):
        layer.copy_from_keras([keras.layers.LSTM(4)] * 2)


def test_gru_computes_what_pytorch_does():
    torch = pytest.importorskip("torch")
    layer, x = built(3, ResidualGRU, num_layers=2, first_residual=None), ramp(2, 5, 3)
    theirs = torch.nn.GRU(3, 4, num_layers=2, batch_first=True)
    layer.copy_to_torch(theirs)
    outputs, last = theirs(torch.tensor(x))
    received = [to_numpy(v) for v in layer(x)]
    assert_all_close(received, [outputs.detach().numpy(), *last.detach().numpy()])
    other = built(3, ResidualGRU, num_layers=2, first_residual=None)
    other.set_weights([0 * w for w in other.get_weights()])
    other.copy_from_torch(theirs)
    assert_all_close([to_numpy(v) for v in other(x)], received)
    with pytest.raises(ValueError, match="with reset_after=True"):
        built(3, ResidualGRU, reset_after=False).copy_to_torch(theirs)


@pytest.mark.parametrize("coupled", [False, True])
def test_recurrent_highway_is_the_equation_of_the_paper(coupled):
    layer = built(
        3, RecurrentHighway, recurrence_depth=3, coupled=coupled, first_residual=None, num_layers=1
    )
    kernel, *rest = layer.get_cell_weights(0)
    kernels, biases = rest[:3], rest[3:]
    x, state = ramp(2, 5, 3), np.zeros((2, 4))
    expected = []
    for t in range(5):
        for level in range(3):
            z = state @ kernels[level] + biases[level] + (x[:, t] @ kernel if level == 0 else 0)
            h, gate = np.tanh(z[:, :4]), sigmoid(z[:, 4:8])
            carry = 1 - gate if coupled else sigmoid(z[:, 8:])
            state = h * gate + state * carry
        expected.append(state)
    outputs, last = (to_numpy(v) for v in layer(x))
    assert_all_close([outputs, last], [np.stack(expected, axis=1), state])


def test_gates_of_a_recurrent_highway_start_nearly_closed():
    cell = RecurrentHighway(2, coupled=False, transform_bias=-3.0)
    cell.build((None, None, 3))
    bias = cell.get_cell_weights(0)[-1]
    np.testing.assert_array_equal(bias, [0, 0, -3, -3, 3, 3])


def test_highway_lstm_is_the_equation_of_the_paper():
    layer = built(3, HighwayLSTM, num_layers=2)
    x = ramp(2, 5, 3)
    plain, gated = layer.get_cell_weights(0), layer.get_cell_weights(1)
    kernel, recurrent, bias, depth_kernel, memory, below, depth_bias = gated
    states = [np.zeros((2, 4)) for _ in range(4)]

    def lstm(x, h, c, weights, added):
        i, f, g, o = np.split(x @ weights[0] + h @ weights[1] + weights[2], 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g) + added
        return sigmoid(o) * np.tanh(c), c

    expected = []
    for t in range(5):
        states[:2] = lstm(x[:, t], *states[:2], plain, 0)
        depth = states[0] @ depth_kernel + depth_bias + memory * states[3] + below * states[1]
        added = sigmoid(depth) * states[1]
        states[2:] = lstm(states[0], *states[2:], (kernel, recurrent, bias), added)
        expected.append(states[2])
    outputs, *last = (to_numpy(v) for v in layer(x))
    assert_all_close([outputs, *last], [np.stack(expected, axis=1), *states])
    with pytest.raises(ValueError, match="`bidirectional_bottom` must be False"):
        HighwayLSTM(4, bidirectional_bottom=True)


@pytest.mark.parametrize("options", STACKS)
def test_steps_and_states_give_the_whole_sequence(options):
    layer = built(**options)
    x, states = ramp(2, 6, 4), starting_states(layer)
    whole, *last = layer(x, initial_state=states)
    first, *middle = layer(x[:, :2], initial_state=states)
    second, *end = layer(x[:, 2:], initial_state=[to_numpy(v) for v in middle])
    parts = np.concatenate([to_numpy(first), to_numpy(second)], axis=1)
    assert_all_close([parts, *map(to_numpy, end)], [to_numpy(v) for v in (whole, *last)])
    for t in range(6):
        output, states = layer.step(x[:, t], states)
        np.testing.assert_allclose(to_numpy(output), to_numpy(whole)[:, t], atol=1e-6)
    assert_all_close([to_numpy(v) for v in states], [to_numpy(v) for v in last])
    empty, *after = layer(x[:, :0], initial_state=states)
    assert empty.shape == (2, 0, 4)
    assert_all_close([to_numpy(v) for v in after], [to_numpy(v) for v in states])
    with pytest.raises(ValueError, match=r"`states` must hold .* for each layer and direction"):
        layer.step(x[:, 0], [])


@pytest.mark.parametrize("options", STACKS)
def test_masked_steps_are_passed_over(options):
    layer = built(**options)
    x, mask = ramp(2, 6, 4), np.ones((2, 6), "bool")
    mask[:, [1, 5]] = False
    outputs, *last = (to_numpy(v) for v in layer(x, mask=mask))
    kept, *kept_last = (to_numpy(v) for v in layer(x[:, [0, 2, 3, 4]]))
    assert_all_close([outputs[:, [0, 2, 3, 4]], *last], [kept, *kept_last])
    layer.return_sequences = False
    assert_all_close([to_numpy(layer(x, mask=mask)[0])], [kept[:, -1]])


@pytest.mark.parametrize("options", STACKS)
def test_other_ways_to_run_give_the_same(options):
    plain, x = built(**options, return_state=False), ramp(2, 6, 4)
    expected = to_numpy(plain(x))
    unrolled = built(**options, return_state=False, unroll=True)
    np.testing.assert_allclose(to_numpy(unrolled(x)), expected, atol=1e-6)
    backwards = built(**options, return_state=False, go_backwards=True)
    np.testing.assert_allclose(to_numpy(backwards(x[:, ::-1])), expected, atol=1e-6)
    stateful = built(**options, return_state=False, stateful=True)
    for _ in range(2):
        parts = [to_numpy(stateful(x[:, :4])), to_numpy(stateful(x[:, 4:]))]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, atol=1e-6)
        stateful.reset_state()
    half = built(**options, return_state=False, dtype="mixed_bfloat16")
    np.testing.assert_allclose(to_numpy(half(x)), expected, atol=3e-2)


@pytest.mark.parametrize("layer_class", [ResidualGRU, RecurrentHighway])
def test_the_bottom_layer_may_run_in_both_directions(layer_class):
    options = {"bidirectional_bottom": True, "num_layers": 2, "first_residual": 2}
    layer, x = built(3, layer_class, **options, return_state=False), ramp(2, 5, 3)
    parts = []
    for backward in (False, True):
        bottom = built(3, layer_class, return_state=False)
        bottom.set_cell_weights(0, layer.get_cell_weights(0, backward))
        parts.append(to_numpy(bottom(x[:, ::-1] if backward else x)))
    both = np.concatenate([parts[0], parts[1][:, ::-1]], axis=-1)
    top = built(8, layer_class, return_state=False)
    top.set_cell_weights(0, layer.get_cell_weights(1))
    np.testing.assert_allclose(to_numpy(layer(x)), to_numpy(top(both)), atol=1e-6)


@pytest.mark.parametrize("options", STACKS)
def test_wrong_arguments_are_named(options):
    layer_class = options["layer_class"]
    wrong = {
        "units": (0, 4.0),
        "num_layers": (0, "2"),
        "first_residual": (-1, 1.5),
        "recurrence_depth": (0, 2.5),
        "transform_bias": ("low", None),
        "depth_bias": ("low", None),
        "use_bias": (None, 1),
        "reset_after": (None, 1),
        "coupled": (None, 1),
        "unit_forget_bias": (None, 1),
        "dropout": (1.0, -0.1),
        "recurrent_dropout": (1.0, "half"),
        "seed": ("a", -1),
        "activation": ("unheard_of", 3),
        "kernel_initializer": ("unheard_of", 3),
        "bias_regularizer": ("unheard_of", 3),
        "recurrent_constraint": ("unheard_of", 3),
        "stateful": (1, None),
        "unroll": (1, None),
    }
    for name in set(layer_class.argument_names()) & set(wrong):
        for value in wrong[name]:
            with pytest.raises(ValueError, match=f"`{name}` must be") as error:
                layer_class(**{"units": 4, name: value})
            assert f"{name}={value!r}" in str(error.value)


@pytest.mark.parametrize("options", STACKS)
def test_training_with_dropout_lowers_the_loss(options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, 3))
    stack = options["layer_class"](6, num_layers=2, dropout=0.1, recurrent_dropout=0.1)
    model = keras.Model(inputs, keras.layers.Dense(1)(stack(keras.layers.Masking()(inputs))))
    model.compile(keras.optimizers.Adam(0.03), "mse")
    x = ramp(16, 5, 3)
    x[:4, 3:] = 0.0
    y = x.mean(axis=(1, 2))[:, None] * 5 + 1
    losses = model.fit(x, y, batch_size=8, epochs=6, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses)) and losses[-1] < 0.6 * losses[0]
