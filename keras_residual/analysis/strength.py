"""The size of each block's residual relative to its shortcut, and its layers' responses."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_residual._types import Tensor
from keras_residual.analysis.blocks import BlockRunner, blocks_of, unrolled
from keras_residual.layers import ConvNorm, ResidualLSTM


@dataclass(frozen=True)
class BlockStrength:
    """The size of one block's residual.

    Attributes:
        name: The block's name.
        ratio: ‖F(x)‖ / ‖shortcut(x)‖, the mean over the samples; infinite without a shortcut.
        responses: Standard deviation of the output of each convolution of F, after its
            normalization and before its activation, as in figure 7 of He et al. 2015. Of a layer of
            several convolutions, such as a `SelectiveKernel`, that of its output.
    """

    name: str
    ratio: float
    responses: tuple[float, ...] = ()


def residual_strength(model: keras.Model, x: Tensor) -> list[BlockStrength]:
    """Returns the size of each block's residual relative to its shortcut, and layer responses.

    In a network with a `ResidualLSTM`, LSTM layers take the place of blocks, with ‖h‖ / ‖x‖ over
    all steps.

    Args:
        model: A built network of this package.
        x: A batch of inputs.

    Returns:
        A `BlockStrength` for each block or LSTM layer in order.

    Raises:
        ValueError: If the model has neither.

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385), figure 7
    """
    stacks = [layer for layer in getattr(model, "layers", ()) if isinstance(layer, ResidualLSTM)]
    if stacks:
        return _of_stack(model, stacks[0], x)
    if not any(block.kind in ("residual", "plain") for block in blocks_of(model)):
        raise ValueError(
            "`model` must have residual blocks; units that concatenate or pass by a gate have no "
            "ratio. "
            f"Received: {model.name!r}"
        )
    found = []

    def measure(name, block, inputs):
        residual, shortcut = block.branches(inputs, training=False)
        ratio = float("inf") if shortcut is None else _ratio(residual, shortcut)
        found.append(BlockStrength(name, ratio, _responses(block, inputs)))
        return block.merged(residual, shortcut)

    BlockRunner(unrolled(model))(ops.convert_to_tensor(x), measure)
    return found


def _ratio(numerator, denominator) -> float:
    flat = [
        ops.reshape(ops.cast(tensor, "float32"), (tensor.shape[0], -1))
        for tensor in (numerator, denominator)
    ]
    norms = [ops.convert_to_numpy(ops.norm(tensor, axis=-1)) for tensor in flat]
    return float(np.mean(norms[0] / np.maximum(norms[1], 1e-30)))


def _responses(block, x) -> tuple[float, ...]:
    if block.reversible:
        half = x.shape[block.channel_axis] // 2
        f = _responses(block.f, block.channels_from(x, half))
        y = block(x, training=False)
        return f + _responses(block.g, block.channels_from(y, 0, block.filters // 2))
    if block.norm1 is not None:
        x = block.norm1(x, training=False)
    found, number = [], 1
    while (layer := getattr(block, f"conv{number}", None)) is not None:
        output = layer(x, training=False)
        response = _before_activation(layer, x) if isinstance(layer, ConvNorm) else output
        found.append(float(ops.convert_to_numpy(ops.std(ops.cast(response, "float32")))))
        x = output
        number += 1
    return tuple(found)


def _before_activation(layer, x):
    response = layer.conv(x)
    return response if layer.norm is None else layer.norm(response)


def _of_stack(model, stack, x):
    if stack.bidirectional_bottom or stack.projections:
        raise ValueError(
            "`model` must have an LSTM stack without a bidirectional layer and projections to "
            f"compare a layer's output with its input. Received: {stack.name!r}"
        )
    x = keras.Model(model.input, stack.input)(ops.convert_to_tensor(x))
    found = []
    for index, cell in enumerate(stack.cells):
        h = keras.layers.RNN(cell, return_sequences=True)(x)
        residual = stack.is_residual(index)
        ratio = _ratio(h, x) if residual else float("inf")
        deviation = float(ops.convert_to_numpy(ops.std(ops.cast(h, "float32"))))
        found.append(BlockStrength(f"{stack.name}/layer{index + 1}", ratio, (deviation,)))
        x = ops.add(h, x) if residual else h
    return found
