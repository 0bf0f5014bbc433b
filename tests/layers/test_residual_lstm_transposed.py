"""Loops whose states are transposed compute what the others do, on every backend."""

import dataclasses
from types import SimpleNamespace
from unittest import mock

import keras
import numpy as np
import pytest
from support import ramp, to_numpy

from keras_residual.layers import ResidualLSTM
from keras_residual.layers.lstm import stack

CASES = {
    "plain": {},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2, "seed": 3},
    "bidirectional": {"bidirectional_bottom": True, "residual_projection": True},
    "backwards, no bias": {"go_backwards": True, "first_residual": 2, "use_bias": False},
    "stateful": {"stateful": True},
    "bfloat16": {"dtype": "mixed_bfloat16"},
}
TOLERANCES = {"mixed_bfloat16": 6e-2}


def loss_of(layer, x, mask):
    outputs = layer(x, mask=mask, training=True)
    return sum(keras.ops.sum(keras.ops.cast(out, "float32") ** 2) for out in outputs), outputs


def results(layer, x, mask):
    """Returns outputs, last states, and the gradients of all weights and of the inputs."""
    backend = keras.backend.backend()
    weights = layer.trainable_variables
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            loss, outputs = loss_of(layer, x, mask)
        return [*outputs, *tape.gradient(loss, [x, *(weight.value for weight in weights)])]
    if backend == "torch":
        import torch

        x = x.detach().requires_grad_()
        loss, outputs = loss_of(layer, x, mask)
        return [*outputs, *torch.autograd.grad(loss, [x, *(weight.value for weight in weights)])]
    import jax

    others = [variable.value for variable in layer.non_trainable_variables]

    def loss_and_outputs(x, values):
        outputs, _ = layer.stateless_call(values, others, x, mask=mask, training=True)
        return sum(keras.ops.sum(keras.ops.cast(out, "float32") ** 2) for out in outputs), outputs

    values = [weight.value for weight in weights]
    run = jax.jit(jax.value_and_grad(loss_and_outputs, (0, 1), has_aux=True))
    (_, outputs), (dx, dw) = run(x, values)
    return [*outputs, dx, *dw]


@pytest.mark.parametrize(("case", "masked"), [("plain", False), *((case, True) for case in CASES)])
def test_transposed_states_change_nothing(case, masked, monkeypatch):
    layer = ResidualLSTM(4, 2, return_sequences=True, return_state=True, **CASES[case])
    x = keras.ops.convert_to_tensor(ramp(3, 6, 5), layer.compute_dtype)
    layer.build(x.shape)
    mask = np.ones((3, 6), bool)
    mask[0, :2], mask[1, 3], mask[2, 4:] = False, False, False
    mask = keras.ops.convert_to_tensor(mask) if masked else None
    before = [to_numpy(variable) for variable in layer.non_trainable_variables]
    found, counts, options = [], [], stack.loop_options
    for transposed in (False, True):

        def chosen(*arguments, transposed=transposed):
            return dataclasses.replace(options(*arguments), transposed=transposed)

        monkeypatch.setattr(stack, "loop_options", chosen)
        for variable, value in zip(layer.non_trainable_variables, before, strict=True):
            variable.assign(value)
        run = stack.transposed.run_layer
        with mock.patch.object(stack.transposed, "run_layer", wraps=run) as counted:
            found.append([to_numpy(value) for value in results(layer, x, mask)])
        counts.append(counted.call_count)
    assert counts == [0, 2 + layer.bidirectional_bottom]
    tolerance = TOLERANCES.get(layer.dtype_policy.name, 2e-6)
    for one, other in zip(*found, strict=True):
        one, other = one.astype("float64"), other.astype("float64")
        scale = max(1.0, np.max(np.abs(one)))
        np.testing.assert_allclose(other / scale, one / scale, atol=tolerance)


def test_only_large_steps_of_jax_are_transposed():
    def chosen(units, batch, **options):
        layer = SimpleNamespace(units=units, **{"unroll": False, "rematerialize": False, **options})
        return stack.transposing_pays(layer, batch)

    on_jax = keras.backend.backend() == "jax"
    assert chosen(256, 16) == chosen(512, 64) == on_jax
    assert not any([chosen(128, 64), chosen(512, 1), chosen(512, None)])
    assert not any([chosen(512, 64, unroll=True), chosen(512, 64, rematerialize=True)])
