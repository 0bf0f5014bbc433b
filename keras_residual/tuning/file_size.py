"""The size of a full-integer LiteRT file, from counts."""

from keras_residual.analysis import Cost

# Fitted to ten files of networks from 5,000 to 240,000 parameters, then enlarged so that none was
# larger than its estimate; the estimates were 0 to 12 % too high.
_PER_CHANNEL, _PER_CONVOLUTION, _MARGIN = 26.0, {1: 900.0, 2: 720.0}, 1.1


def int8_file_size(cost: Cost, convolutions: int, rank: int = 2) -> int:
    """Returns the bytes that a network takes at most, by an estimate.

    A byte for each weight of a kernel; for each channel an int32 bias, a scale and a zero point;
    for each operation its description. Batch normalization is folded away.

    Args:
        cost: What the network costs; statistics that are not trained count its channels.
        convolutions: Number of convolutions and dense layers.
        rank: Number of spatial axes, 1 or 2.
    """
    channels = (cost.parameters - cost.trainable_parameters) / 2
    kernels = cost.trainable_parameters - 2 * channels
    size = kernels + _PER_CHANNEL * channels + _PER_CONVOLUTION[rank] * convolutions
    return round(_MARGIN * size)
