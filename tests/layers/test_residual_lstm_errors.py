"""Every error of `ResidualLSTM` names the argument."""

import keras
import numpy as np
import pytest
from keras import ops
from support import ramp

from keras_residual.layers.lstm.residual_lstm import ResidualLSTM


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
        ({"activation": "no such"}, "`activation` must be a Keras activation.*'no such'"),
        ({"recurrent_activation": 3}, "`recurrent_activation` must be a Keras activation.*=3"),
        ({"bias_initializer": "uno"}, "`bias_initializer` must be a Keras initializer.*'uno'"),
        ({"kernel_regularizer": "l3"}, "`kernel_regularizer` must be a Keras regularizer"),
        ({"activity_regularizer": 2}, "`activity_regularizer` must be a Keras regularizer"),
        ({"recurrent_constraint": "max"}, "`recurrent_constraint` must be a Keras constraint"),
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


def test_unrolling_needs_a_known_number_of_steps():
    layer = ResidualLSTM(4, unroll=True)
    with pytest.raises(ValueError, match="`unroll=True` needs a known number of time steps"):
        layer(keras.Input((None, 3)))
    assert layer(keras.Input((5, 3))).shape == (None, 4)
    assert ops.shape(layer(ramp(2, 5, 3))) == (2, 4)
