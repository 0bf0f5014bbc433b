"""States of `ResidualLSTM`: given, kept from call to call, carried from step to step."""

import keras
import numpy as np
import pytest
from layers.residual_lstm_reference import (
    IMPLEMENTATIONS,
    KerasStack,
    assert_all_close,
    built,
    starting_states,
)
from support import ramp, to_numpy


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("first_residual", [0, 1])
def test_an_initial_state_is_no_output(implementation, first_residual):
    layer = built(num_layers=2, first_residual=first_residual, implementation=implementation)
    x, states, mask = ramp(2, 4, 4), starting_states(layer), np.ones((2, 4), "bool")
    mask[0, :2] = False
    output, *after = (to_numpy(v) for v in layer(x, initial_state=states, mask=mask))
    late, *late_after = (
        to_numpy(v) for v in layer(x[:, 2:], initial_state=states, mask=mask[:, 2:])
    )
    np.testing.assert_array_equal(output[0, :2], x[0, :2] if first_residual == 0 else 0 * x[0, :2])
    assert_all_close(
        [output[:1, 2:], *(v[:1] for v in after)], [late[:1], *(v[:1] for v in late_after)]
    )
    if keras.backend.backend() != "jax":  # Where Keras repeats the initial state.
        expected = KerasStack(layer)(x, initial_state=states, mask=mask)
        assert_all_close([output, *after], [to_numpy(v) for v in expected])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_zero_steps_change_nothing_and_one_step_is_a_step(implementation, masked):
    layer = built(num_layers=3, implementation=implementation)
    states = starting_states(layer)
    mask = np.ones((2, 0), "bool") if masked else None
    output, *after = layer(np.zeros((2, 0, 4), "float32"), initial_state=states, mask=mask)
    assert output.shape == (2, 0, 4)
    assert_all_close([to_numpy(v) for v in after], states)
    layer.return_sequences = False
    assert np.all(to_numpy(layer(np.zeros((2, 0, 4), "float32"), mask=mask)[0]) == 0.0)

    x = ramp(2, 1, 4)
    output, *after = layer(x, initial_state=states)
    by_step, step_states = layer.step(x[:, 0], states)
    expected = [to_numpy(v) for v in (by_step, *step_states)]
    assert_all_close([to_numpy(v) for v in (output, *after)], expected)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_streaming_gives_the_outputs_of_the_whole_sequence(implementation):
    layer = built(
        3,
        num_layers=3,
        first_residual=0,
        residual_projection=True,
        implementation=implementation,
    )
    x = ramp(2, 6, 3)
    whole, *last = layer(x)
    states = layer.get_initial_state(2)
    for t in range(6):
        output, states = layer.step(x[:, t], states)
        np.testing.assert_allclose(to_numpy(output), to_numpy(whole)[:, t], atol=1e-6)
    assert_all_close([to_numpy(v) for v in states], [to_numpy(v) for v in last])


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_stateful_layer_goes_on_where_it_stopped(implementation):
    arguments = {"num_layers": 3, "return_state": False, "implementation": implementation}
    whole, parts = built(**arguments), built(**arguments, stateful=True)
    x = ramp(2, 6, 4)
    expected = to_numpy(whole(x))
    for _ in range(2):
        received = np.concatenate([to_numpy(parts(x[:, :4])), to_numpy(parts(x[:, 4:]))], axis=1)
        np.testing.assert_allclose(received, expected, atol=1e-6)
        parts.reset_state()


def test_a_stateful_layer_keeps_cell_states_in_float32():
    layer = built(num_layers=2, stateful=True, dtype="mixed_bfloat16")
    for index, state in enumerate(layer.states):
        state.assign(ramp(2, 4, offset=index))
    layer(ramp(2, 3, 4), mask=np.zeros((2, 3), "bool"))
    for index in (1, 3):
        np.testing.assert_array_equal(to_numpy(layer.states[index]), ramp(2, 4, offset=index))
