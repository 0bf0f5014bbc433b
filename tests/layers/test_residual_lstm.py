"""`ResidualLSTM` equals a stack of Keras' own layers, in both executions."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from layers.residual_lstm_reference import (
    IMPLEMENTATIONS,
    KerasStack,
    assert_all_close,
    built,
    second_gradient,
    some_mask,
    starting_states,
    values_and_gradients,
)
from support import ramp, to_numpy

from keras_residual.layers.lstm import stack


def assert_equal_to_keras(layer, x, states=(), mask=None):
    received = values_and_gradients(layer, x, states, mask=mask)
    expected = values_and_gradients(KerasStack(layer), x, states, mask=mask)
    assert_all_close(received[0], expected[0])
    assert_all_close(received[1], expected[1])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    ("num_layers", "first_residual", "features"),
    [(1, 1, 3), (1, 0, 4), (2, 1, 3), (3, 2, 6), (4, 0, 4), (3, None, 4)],
)
def test_equals_a_stack_of_keras_layers(implementation, num_layers, first_residual, features):
    layer = built(
        features,
        num_layers=num_layers,
        first_residual=first_residual,
        implementation=implementation,
    )
    assert_equal_to_keras(layer, ramp(2, 5, features), starting_states(layer))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_equals_a_stack_of_keras_layers_with_any_mask(implementation):
    layer = built(num_layers=3, first_residual=0, implementation=implementation)
    assert_equal_to_keras(layer, ramp(3, 6, 4), mask=some_mask(3, 6))


@settings(max_examples=12, deadline=None)
@given(
    batch=st.integers(1, 6),
    time=st.integers(1, 5),
    features=st.integers(1, 6),
    units=st.integers(1, 5),
    num_layers=st.integers(1, 4),
    first_residual=st.integers(1, 4),
    masked=st.booleans(),
    use_bias=st.booleans(),
    implementation=st.sampled_from(IMPLEMENTATIONS),
)
def test_equals_a_stack_of_keras_layers_in_any_shape(
    batch, time, features, units, num_layers, first_residual, masked, use_bias, implementation
):
    layer = built(
        features,
        units=units,
        num_layers=num_layers,
        first_residual=first_residual,
        use_bias=use_bias,
        implementation=implementation,
    )
    mask = some_mask(batch, time) if masked else None
    x = ramp(batch, time, features)
    received = values_and_gradients(layer, x, mask=mask)
    expected = values_and_gradients(KerasStack(layer, use_bias=use_bias), x, mask=mask)
    assert_all_close(received[0], expected[0])
    assert_all_close(received[1], expected[1])


@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_one_layer_is_keras_lstm(return_sequences, return_state, go_backwards):
    flags = {
        "return_sequences": return_sequences,
        "return_state": return_state,
        "go_backwards": go_backwards,
    }
    ours, theirs = built(3, **flags), keras.layers.LSTM(4, **flags)
    theirs.build((None, None, 3))
    ours.copy_to_keras([theirs])
    for mask in (None, some_mask(3, 6)):
        received, expected = (layer(ramp(3, 6, 3), mask=mask) for layer in (ours, theirs))
        assert isinstance(received, tuple) == isinstance(expected, tuple)
        if not return_state:
            received, expected = [received], [expected]
        assert_all_close([to_numpy(v) for v in received], [to_numpy(v) for v in expected])


def test_going_backwards_turns_the_sequence_and_its_mask_around_once():
    forwards, backwards = built(num_layers=3), built(num_layers=3, go_backwards=True)
    x, mask = ramp(2, 5, 4), some_mask(2, 5)
    expected = forwards(x[:, ::-1], mask=mask[:, ::-1])
    received = backwards(x, mask=mask)
    assert_all_close([to_numpy(v) for v in received], [to_numpy(v) for v in expected])
    propagated = backwards.compute_mask(x, ops.convert_to_tensor(mask))[0]
    np.testing.assert_array_equal(ops.convert_to_numpy(propagated), mask[:, ::-1])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_bidirectional_bottom_is_keras_bidirectional(implementation, masked):
    layer = built(
        3,
        num_layers=3,
        first_residual=2,
        bidirectional_bottom=True,
        implementation=implementation,
    )
    bottom = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))
    upper = [keras.layers.LSTM(4, return_sequences=True) for _ in range(2)]
    bottom.build((None, None, 3))
    layer.copy_to_keras([bottom, *upper])
    x, mask = ramp(2, 5, 3), some_mask(2, 5) if masked else None
    first = upper[0](bottom(x, mask=mask), mask=mask)
    expected = first + upper[1](first, mask=mask)
    output, *states = layer(x, mask=mask)
    assert_all_close([to_numpy(output)], [to_numpy(expected)])
    assert len(states) == 8


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_last_output_is_the_one_at_the_last_step_that_is_not_masked(implementation):
    arguments = {"num_layers": 2, "first_residual": 0, "implementation": implementation}
    sequences = built(**arguments, return_state=False)
    last = built(**arguments, return_state=False, return_sequences=False)
    mask = np.array([[1, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], "bool")
    x = ramp(3, 5, 4)
    whole = to_numpy(sequences(x, mask=mask))
    expected = np.stack([whole[0, 3], whole[1, 0], np.zeros(4, "float32")])
    np.testing.assert_allclose(to_numpy(last(x, mask=mask)), expected, rtol=1e-6)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_other_activations_are_differentiated_too(implementation):
    activations = {"activation": "relu", "recurrent_activation": "hard_sigmoid"}
    layer = built(num_layers=3, implementation=implementation, **activations)
    x = ramp(2, 5, 4)
    received = values_and_gradients(layer, x, mask=some_mask(2, 5))
    expected = values_and_gradients(KerasStack(layer, **activations), x, mask=some_mask(2, 5))
    assert_all_close(received[0], expected[0])
    assert_all_close(received[1], expected[1])


@pytest.mark.parametrize("option", [{}, {"rematerialize": True}, {"unroll": True}])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("batch", [2, 8])
def test_options_of_execution_change_no_number(batch, implementation, option):
    layer = built(num_layers=3, implementation=implementation, **option)
    x, states, mask = ramp(batch, 5, 4), starting_states(layer, batch), some_mask(batch, 5)
    mask[:, 0] = True
    expected = values_and_gradients(KerasStack(layer), x, states, mask=mask)
    for training in (True, False):
        received = values_and_gradients(layer, x, states, mask=mask, training=training)
        assert_all_close(received[0], expected[0])
        assert_all_close(received[1], expected[1])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_gradients_can_be_differentiated_again(implementation):
    layer = built(num_layers=2, return_state=False, implementation=implementation)
    stack = KerasStack(layer)
    x = ramp(2, 4, 4)
    received = second_gradient(lambda x: layer(x, training=True), x)
    expected = second_gradient(lambda x: stack(x)[0], x)
    assert_all_close([received], [expected], 1e-4)


def test_projections_carry_inputs_of_another_width():
    layer = built(3, num_layers=2, first_residual=0, residual_projection=True)
    x = ramp(2, 5, 3)
    for implementation in IMPLEMENTATIONS:
        layer.implementation = implementation
        output, gradients = values_and_gradients(layer, x)
        first, *_ = KerasStack(layer).lstms[0](x)
        first = first + ops.matmul(x, layer.projections["0"].kernel)
        second, *_ = KerasStack(layer).lstms[1](first)
        assert_all_close(output[:1], [to_numpy(first + second)])
        assert all(np.abs(g).max() > 0 for g in gradients)


@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5), (0.4, 0.3)])
def test_dropout_is_the_same_in_both_executions(rates):
    results = []
    for implementation in IMPLEMENTATIONS:
        layer = built(
            3,
            num_layers=3,
            implementation=implementation,
            dropout=rates[0],
            recurrent_dropout=rates[1],
            seed=7,
        )
        without = layer(ramp(2, 5, 3), training=False)
        results.append(values_and_gradients(layer, ramp(2, 5, 3), training=True))
        assert np.abs(to_numpy(without[0]) - results[-1][0][0]).max() > 1e-3
    assert_all_close(results[1][0], results[0][0])
    assert_all_close(results[1][1], results[0][1])


def test_dropout_drops_the_same_features_at_all_steps():
    layer = built(16, dropout=0.5, seed=3)
    by_inputs = values_and_gradients(layer, ramp(2, 5, 16), training=True)[1][0]
    dropped = by_inputs == 0.0
    assert 0 < dropped[:, 0].sum() < dropped[:, 0].size
    assert np.all(dropped == dropped[:, :1])


def test_a_mask_that_comes_with_the_inputs_is_used_and_handed_on():
    inputs = keras.layers.Masking()(np.where(some_mask(2, 5)[..., None], ramp(2, 5, 4), 0.0))
    layer = built(num_layers=2, return_state=False)
    states = starting_states(layer)
    expected = layer(ramp(2, 5, 4), mask=some_mask(2, 5), initial_state=states)
    received = layer(inputs, initial_state=states)
    np.testing.assert_allclose(to_numpy(received), to_numpy(expected), rtol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(received._keras_mask), some_mask(2, 5))


def test_auto_is_layerwise_on_a_cpu():
    layer = built(num_layers=2)
    expected = [to_numpy(v) for v in built(num_layers=2, implementation="layerwise")(ramp(2, 5, 4))]
    for received, value in zip(layer(ramp(2, 5, 4)), expected, strict=True):
        np.testing.assert_array_equal(to_numpy(received), value)


def test_auto_gives_the_same_where_it_takes_the_wavefront(monkeypatch):
    """Of these two, the first is large enough for it on JAX and two cores."""
    monkeypatch.setattr(stack.os, "cpu_count", lambda: 2)
    for batch, taken in ((64, keras.backend.backend() == "jax"), (4, False)):
        layer = built(128, units=128, num_layers=2, return_state=False)
        x = ops.convert_to_tensor(ramp(batch, 8, 128))
        assert stack.wavefront_pays(layer, (8, batch, 128), training=False) == taken
        assert not stack.wavefront_pays(layer, (8, batch, 128), training=True)
        by_choice = to_numpy(layer(x))
        layer.implementation = "layerwise"
        np.testing.assert_allclose(by_choice, to_numpy(layer(x)), rtol=1e-5, atol=1e-6)
