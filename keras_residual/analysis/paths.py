"""A residual network as an ensemble of paths: their lengths and their gradients."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.analysis._differentiation import reduced_gradients
from keras_residual.analysis.blocks import BlockRunner, blocks_of, unrolled
from keras_residual.analysis.gradient_flow import checked_batch, default_loss


@dataclass(frozen=True)
class PathStudy:
    """The paths through n residual blocks by length: the number of blocks whose F they pass.

    Attributes:
        share: Fraction of the 2ⁿ paths that have each length from 0 to n, binomial.
        gradient: Norm of the gradient that a path of each length carries to the input, averaged
            over random paths.
        contribution: Fraction of each length in the sum of the gradient norms of all paths.
        effective_length: The mean length weighted by `contribution`.
    """

    share: np.ndarray
    gradient: np.ndarray
    contribution: np.ndarray
    effective_length: float


def path_shares(blocks: int) -> np.ndarray:
    """Returns the fraction of paths of each length 0…n through n residual blocks."""
    n = _checks.integer("blocks", blocks)
    return np.array([math.comb(n, length) for length in range(n + 1)]) / 2.0**n


def path_study(
    model: keras.Model, x: Tensor, y: Tensor, *, draws: int = 4, seed: int = 0
) -> PathStudy:
    """Measures how much gradient paths of each length carry to the input.

    The forward pass is that of the whole network. In the backward pass the gradient passes only
    through F of the blocks on a random path and through the shortcuts of all others.

    Args:
        model: A network with residual blocks of this package.
        x: A batch of inputs.
        y: Integer labels.
        draws: Positive integer, random paths for each length.
        seed: Integer.

    Returns:
        A `PathStudy`.

    Raises:
        ValueError: If the model has no residual blocks, or a batch does not fit it.

    Reference:
        - [Veit et al., 2016](https://arxiv.org/abs/1605.06431), section 5
    """
    draws = _checks.integer("draws", draws)
    blocks = blocks_of(model)
    if any(block.kind != "residual" for block in blocks):
        raise ValueError(f"`model` must have residual blocks only. Received: {model.name!r}")
    draw = np.random.default_rng(_checks.seed(seed))
    x, y = checked_batch(model, x, y)
    run, loss = BlockRunner(unrolled(model)), default_loss(model, y)
    n = len(blocks)
    names = {block.name: position for position, block in enumerate(blocks)}

    def loss_of(values):
        inputs, gates = values

        def call(name, block, x):
            return _gated(block, x, gates[names[name]])

        return ops.mean(loss(y, run(inputs, call)))

    norm = reduced_gradients(loss_of, lambda _, gradient: ops.norm(ops.ravel(gradient)))
    paths = [_random_path(draw, n, length) for length in range(n + 1) for _ in range(draws)]
    gradient = np.reshape([norm([x, gates])[0] for gates in paths], (n + 1, draws)).mean(axis=1)
    share = path_shares(n)
    contribution = share * gradient / max(float(np.sum(share * gradient)), 1e-300)
    return PathStudy(share, gradient, contribution, float(np.arange(n + 1) @ contribution))


def _random_path(draw, blocks, length):
    gates = np.zeros(blocks, np.float32)
    gates[draw.choice(blocks, length, replace=False)] = 1
    return gates


def _gated(block, inputs, gate):
    """Returns the block's output, with a gradient through F or through the shortcut only."""
    residual, shortcut = block.branches(inputs, training=False)
    return block.merged(_passing(residual, gate), _passing(shortcut, 1 - gate))


def _passing(x, share):
    """Returns x with its gradient scaled by `share`."""
    return ops.add(ops.multiply(x, share), ops.stop_gradient(ops.multiply(x, 1 - share)))
