"""Compiled loops that run in parts of the sequence compute what one loop does."""

from unittest import mock

import keras
import numpy as np
import pytest
from support import ramp, to_numpy

from keras_residual.layers import ResidualLSTM
from keras_residual.layers.lstm import stack

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow's loops are compiled apart"
)
CASES = {
    "plain": {},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2, "seed": 3},
    "bidirectional": {"bidirectional_bottom": True, "residual_projection": True},
    "backwards": {"go_backwards": True, "first_residual": 2},
    "recomputed": {"rematerialize": True, "use_bias": False},
    "other activation": {"activation": "relu"},
    "bfloat16": {"dtype": "mixed_bfloat16"},
    "float16": {"dtype": "mixed_float16"},
    "float64": {"dtype": "float64"},
}


def results(layer, x, mask, states):
    """Returns outputs, last states and all gradients, computed in a graph."""
    import tensorflow as tf

    @tf.function
    def run(x, mask, states):
        with tf.GradientTape() as tape:
            tape.watch((x, states))
            outputs = layer(x, initial_state=states, mask=mask, training=True)
            loss = sum(tf.reduce_sum(tf.cast(out, "float32") ** 2) for out in outputs)
        weights = [weight.value for weight in layer.trainable_variables]
        return *outputs, *tape.gradient(loss, [x, *states, *weights])

    return [to_numpy(value) for value in run(x, mask, states)]


@pytest.mark.parametrize(("case", "masked"), [("plain", False), *((case, True) for case in CASES)])
def test_parts_compute_what_the_whole_does(case, masked, monkeypatch):
    import tensorflow as tf

    layer = ResidualLSTM(6, 3, return_sequences=True, return_state=True, **CASES[case])
    # In four parts, ten steps have a last part that is shorter.
    steps = 12 if masked else 10
    x = tf.constant(ramp(2, steps, 6), layer.compute_dtype)
    layer.build(x.shape)
    mask = np.ones((2, steps), bool)
    mask[0, :3], mask[1, 4:6], mask[1, 8:] = False, False, False
    mask = tf.constant(mask) if masked else None
    states = [tf.constant(ramp(2, 6, offset=i), x.dtype) for i in range(layer.state_count)]
    found, counts = [], []
    for count in (1, 4):
        monkeypatch.setattr(stack, "number_of_parts", lambda *_, count=count: count)
        for variable in layer.non_trainable_variables:
            variable.assign([0, 3])
        with mock.patch.object(stack.loops, "run_layer", wraps=stack.loops.run_layer) as run:
            found.append(results(layer, x, mask, states))
        counts.append(run.call_count)
    alone = layer.bidirectional_bottom
    parts = 1 if case == "other activation" else 4
    assert counts == [3 + alone, 2 * alone + (3 - alone) * parts]
    tolerance = {"mixed_bfloat16": 6e-2, "mixed_float16": 8e-3, "float64": 1e-12}
    tolerance = tolerance.get(layer.dtype_policy.name, 2e-6)
    for one, other in zip(*found, strict=True):
        scale = max(1.0, np.max(np.abs(one.astype("float64"))))
        np.testing.assert_allclose(
            other.astype("float64") / scale, one.astype("float64") / scale, atol=tolerance
        )


def test_short_sequences_and_one_core_take_one_part(monkeypatch):
    monkeypatch.setattr(stack.os, "cpu_count", lambda: 2)
    assert [stack.number_of_parts(length, 16) for length in (16, 32, 63, 128)] == [1, 2, 3, 4]
    # Starting the loops of more parts takes longer than they gain.
    assert [stack.number_of_parts(length, 1) for length in (16, 32, 63, 128)] == [1, 2, 2, 2]
    assert stack.number_of_parts(128, None) == 4
    monkeypatch.setattr(stack.os, "cpu_count", lambda: 1)
    assert stack.number_of_parts(128, 16) == 1
