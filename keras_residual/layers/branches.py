"""Base of multi-branch convolutions: their options and the attention over branches."""

from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.average_pool import DOWNSAMPLING
from keras_residual.layers.composite import BlockLayer
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.sublayers import SublayerRow


class BranchedConvolution(SublayerRow, BlockLayer):
    """Base of the layers that replace a 3×3 convolution with its normalization and activation.

    Args:
        filters: Positive integer, number of output channels.
        branches: Positive integer, number of branches. Defaults to `2`.
        strides: Positive integer. Defaults to `1`.
        dilation_rate: Positive integer. Defaults to `1`.
        groups: Positive integer, groups of each branch. Defaults to `1`.
        blur_pool: What downsamples in place of strides, see `ConvNorm`. Defaults to `False`.
        **kwargs: Those of `BlockLayer`.

    Returns:
        `(batch, *ceil(spatial / strides), filters)`.
    """

    def __init__(
        self,
        filters: int,
        branches: int = 2,
        strides: int = 1,
        dilation_rate: int = 1,
        groups: int = 1,
        blur_pool: bool | str = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.branches = _checks.positive(filters=filters, branches=branches)
        self.strides, self.dilation_rate, self.groups = _checks.positive(
            strides=strides, dilation_rate=dilation_rate, groups=groups
        )
        self.blur_pool = _checks.choice("blur_pool", blur_pool, DOWNSAMPLING)

    def branch(self, index: int, filters: int, dilation: int = 1) -> ConvNorm:
        """Returns the 3×3 convolution of a branch; `dilation` multiplies the layer's own."""
        return ConvNorm(
            filters,
            3,
            self.strides,
            self.dilation_rate * dilation,
            self.groups,
            blur_pool=self.blur_pool,
            name=f"branch{index + 1}",
            **self.block_options(index),
        )

    def means(self, x: Tensor) -> Tensor:
        """Returns the mean over all positions, with axes of size 1."""
        return ops.mean(x, axis=self.spatial_axes(len(x.shape)), keepdims=True)

    def shares(self, logits: Tensor, groups: int = 1) -> list[Any]:
        """Returns the attention weights of the branches, one for each channel, from logits.

        Args:
            logits: `(batch, 1, …, groups · branches · channels / groups)`.
            groups: Number of groups in the channels, each with the logits of all branches.
        """
        rank, channels = len(logits.shape), logits.shape[self.channel_axis] // self.branches
        flat = ops.reshape(logits, (-1, groups, self.branches, channels // groups))
        shares = ops.softmax(flat, axis=2) if self.branches > 1 else ops.sigmoid(flat)
        shape = [-1] + [1] * (rank - 1)
        shape[self.channel_axis] = channels
        return [
            ops.reshape(shares[:, :, index : index + 1], shape) for index in range(self.branches)
        ]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "branches": self.branches,
            "strides": self.strides,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "blur_pool": self.blur_pool,
        }
