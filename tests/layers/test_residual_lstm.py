import keras
import numpy as np
import pytest
from keras import ops
from layers.residual_lstm_reference import KerasStack, assert_all_close, values_and_gradients
from support import ramp, to_numpy

from keras_residual.layers.residual_lstm import ResidualLSTM

IMPLEMENTATIONS = ("layerwise", "wavefront")


def built(features=4, **arguments):
    layer = ResidualLSTM(**{"units": 4, "return_sequences": True, "return_state": True, **arguments})
    layer.build((None, None, features))
    for index, weight in enumerate(layer.weights):
        weight.assign(0.6 * ramp(*weight.shape, offset=index))
    return layer


def random_mask(batch, time):
    mask = ramp(batch, time, offset=1.0) > -0.4
    mask[:, 0] = True
    return mask


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    ("num_layers", "first_residual", "features"),
    [(1, 1, 3), (1, 0, 4), (2, 1, 3), (3, 0, 4), (3, 2, 6), (4, 1, 4), (3, None, 4)],
)
@pytest.mark.parametrize("masked", [False, True])
def test_equals_stack_of_keras_layers(implementation, num_layers, first_residual, features, masked):
    layer = built(
        features,
        num_layers=num_layers,
        first_residual=first_residual,
        implementation=implementation,
    )
    stack = KerasStack(layer)
    x = ramp(2, 5, features)
    states = [ramp(2, 4, offset=i) for i in range(2 * num_layers)]
    mask = random_mask(2, 5) if masked else None
    received = values_and_gradients(layer, x, states, mask=mask)
    expected = values_and_gradients(stack, x, states, mask=mask)
    assert_all_close(received[0], expected[0])
    assert_all_close(received[1], expected[1])
