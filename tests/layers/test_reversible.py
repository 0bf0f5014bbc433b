"""Reversible blocks can be inverted, and their gradients need no stored activations."""

import keras
import numpy as np
import pytest
from support import gradients, ramp, run, set_sequential_weights, to_numpy

import keras_residual
from keras_residual.layers import BottleneckBlock, ResidualBlock, ResidualStage

PRE = {"activation_order": "pre", "reversible": True}
SHAPE = (2, 5, 6, 8)
BLOCKS = {
    "basic": lambda **o: ResidualBlock(8, **PRE, **o),
    "bottleneck": lambda **o: BottleneckBlock(8, se_ratio=0.5, **PRE, **o),
}


def stage(block, depth=3, **options):
    layer = ResidualStage(block, depth, name="stage", **options)
    layer.build((None, *SHAPE[1:]))
    set_sequential_weights(layer)
    return layer


def test_block_is_that_of_the_paper_and_can_be_undone():
    block = ResidualBlock(8, **PRE)
    block.build(SHAPE)
    set_sequential_weights(block)
    x = ramp(*SHAPE)
    y = run(block, x)
    y1 = x[..., :4] + run(block.f, x[..., 4:])
    y2 = x[..., 4:] + run(block.g, y1)
    np.testing.assert_allclose(y, np.concatenate([y1, y2], -1), rtol=1e-5, atol=1e-6)
    x2 = y[..., 4:] - run(block.g, np.ascontiguousarray(y[..., :4]))
    x1 = y[..., :4] - run(block.f, x2)
    np.testing.assert_allclose(np.concatenate([x1, x2], -1), x, atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_recomputed_inputs_give_the_same_gradients_and_statistics(name):
    plain, inverted = (stage(BLOCKS[name](), rematerialize=again) for again in (False, True))
    x = ramp(*SHAPE)
    (outputs, found), (others, expected) = (gradients(layer, x) for layer in (inverted, plain))
    np.testing.assert_allclose(outputs, others, rtol=1e-5, atol=1e-6)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        scale = 1e-4 * max(1.0, np.abs(value).max())
        np.testing.assert_allclose(found[key], value, rtol=1e-3, atol=scale, err_msg=key)
    for mine, other in zip(
        inverted.non_trainable_weights, plain.non_trainable_weights, strict=True
    ):
        np.testing.assert_allclose(to_numpy(mine), to_numpy(other), rtol=1e-5, atol=1e-6)


def test_random_numbers_are_drawn_once_for_both_passes():
    """With dropout, recomputed inputs are right only if the same units are dropped again."""
    block = ResidualBlock(8, dropout_rate=0.5, drop_path_rate=0.2, activation="tanh", **PRE)
    layer, x, direction = stage(block, rematerialize=True), ramp(*SHAPE), ramp(*SHAPE, offset=1)
    # With the states of random generators, which are no weights.
    state = [to_numpy(variable).copy() for variable in layer.non_trainable_variables]

    def restored():
        # Keras' dropout draws from PyTorch's own generator there.
        keras.utils.set_random_seed(0)
        for variable, value in zip(layer.non_trainable_variables, state, strict=True):
            variable.assign(value)
        return layer

    def loss(step):
        outputs = run(restored(), x + np.float32(step) * direction, training=True)
        return (outputs * ramp(*outputs.shape, offset=0.3)).sum(dtype="float64")

    slope = (loss(1e-2) - loss(-1e-2)) / 2e-2
    _, found = gradients(restored(), x)
    assert abs(slope) > 1
    np.testing.assert_allclose((found["inputs"] * direction).sum(), slope, rtol=0.02)


def test_half_precision_keeps_the_inputs_of_its_blocks():
    """Differences of bfloat16 would not give the inputs back."""
    layer = stage(ResidualBlock(8, dtype="mixed_bfloat16", **PRE), rematerialize=True)
    exact = stage(ResidualBlock(8, dtype="mixed_bfloat16", **PRE))
    found, expected = (gradients(each, ramp(*SHAPE))[1] for each in (layer, exact))
    for key, value in expected.items():
        scale = 0.05 * max(1.0, np.abs(value.astype("float32")).max())
        np.testing.assert_allclose(found[key], value, rtol=0.1, atol=scale, err_msg=key)


def test_reversible_blocks_are_not_scanned():
    with pytest.raises(ValueError, match="`execution`"):
        ResidualStage(ResidualBlock(8, **PRE), 3, execution="scanned")
    assert not ResidualStage(ResidualBlock(8, **PRE), 40).equal.scanned


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts what PyTorch keeps")
def test_memory_does_not_grow_with_the_depth_on_torch():
    import torch

    def kept(depth, again):
        layer, held = stage(ResidualBlock(8, **PRE), depth, rematerialize=again), {}

        def pack(tensor):
            held[tensor.data_ptr()] = tensor.numel()
            return tensor

        weights = sum(int(np.prod(weight.shape)) for weight in layer.weights)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            layer(torch.ones(SHAPE), training=True)
        return sum(held.values()) - weights

    assert kept(12, True) - kept(4, True) < 500 < kept(12, False) - kept(4, False)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="asks JAX's compiler")
def test_memory_does_not_grow_with_the_depth_on_jax():
    import jax

    def temporary(depth, again):
        layer = ResidualStage(ResidualBlock(8, **PRE), depth, rematerialize=again)
        layer.build((None, 32, 32, 8))
        state = [v.value for v in layer.non_trainable_variables]

        def loss(weights, x):
            return layer.stateless_call(weights, state, x, training=True)[0].sum()

        weights = [v.value for v in layer.trainable_variables]
        compiled = jax.jit(jax.grad(loss)).lower(weights, np.ones((4, 32, 32, 8), "float32"))
        return compiled.compile().memory_analysis().temp_size_in_bytes

    size = 4 * 32 * 32 * 8 * 4
    assert temporary(6, True) - temporary(3, True) < size
    assert temporary(6, False) - temporary(3, False) > 6 * size


STATED = {"RevNet38": 0.46, "RevNet110": 1.73, "RevNet164": 1.75}


@pytest.mark.parametrize("name", STATED)
def test_networks_are_as_large_as_the_paper_states(name):
    """Table 2, in millions of parameters."""
    found = keras_residual.analysis.cost(name).trainable_parameters / 1e6
    assert round(found, 2) == STATED[name]
