"""Estimates the size of a LiteRT file with 8-bit weights from parameter counts."""

from collections.abc import Sequence

from keras_residual.analysis import Cost

# Fitted to ten files of networks with 5,000 to 240,000 parameters, then raised to an upper bound;
# the estimates were 0 to 12 % too high.
_PER_CHANNEL, _PER_CONVOLUTION, _MARGIN = 26.0, {1: 900.0, 2: 720.0}, 1.1

# Found in nine files. Smaller matrices stay in float32, and so do all others of their cell.
_FEWEST_QUANTIZED, _BASE, _PER_CELL, _PER_UNROLLED_CELL = 1024, 2_200, 1_950, 3_200


def int8_file_size(cost: Cost, convolutions: int, rank: int = 2) -> int:
    """Returns an estimated upper bound on the size of a network's file, in bytes.

    Each kernel weight takes a byte; each channel an int32 bias, a scale and a zero point; each
    operation its description. Batch normalization is folded.

    Args:
        cost: The network's cost; its non-trainable statistics give the number of channels.
        convolutions: Number of convolutions and dense layers.
        rank: Number of spatial axes, 1 or 2.
    """
    channels = (cost.parameters - cost.trainable_parameters) / 2
    kernels = cost.trainable_parameters - 2 * channels
    size = kernels + _PER_CHANNEL * channels + _PER_CONVOLUTION[rank] * convolutions
    return round(_MARGIN * size)


def lstm_file_size(
    cells: Sequence[tuple[int, int]], others: Sequence[int], unrolled_steps: int | None = None
) -> int:
    """Returns an estimated upper bound on the file size of an LSTM stack with 8-bit weights.

    Args:
        cells: Features and units of each LSTM in the stack.
        others: Number of elements of every other matrix.
        unrolled_steps: Number of steps of an unrolled file; `None` if each cell is one fused
            operation.
    """
    size = _BASE + sum(_matrix_bytes(count, count) for count in others)
    for features, units in cells:
        size += _matrix_bytes(4 * units * (features + units), units * min(features, units))
        size += 4 * 4 * units
        size += unrolled_steps * _PER_UNROLLED_CELL if unrolled_steps else _PER_CELL
    return round(_MARGIN * size)


def _matrix_bytes(count, smallest):
    return count if smallest >= _FEWEST_QUANTIZED else 4 * count
