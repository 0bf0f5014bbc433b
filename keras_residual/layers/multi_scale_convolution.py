from typing import Any

from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual._words import counted
from keras_residual.layers.average_pool import AveragePool
from keras_residual.layers.branches import BranchedConvolution
from keras_residual.layers.composite import Plan
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.registration import registered


@registered
class MultiScaleConvolution(BranchedConvolution):
    """3×3 convolutions of groups of channels, each also taking the output of the one before.

    y₁ = F₁(x₁), yᵢ = Fᵢ(xᵢ + yᵢ₋₁), F = act(norm(conv)), and the last group is passed
    through, so that the receptive field grows from group to group. Where the shape changes,
    `cascade=False` convolves each group by itself and applies 3×3 average pooling to the last.

    Args:
        filters: Positive integer, number of output channels.
        branches: Positive integer that divides `filters`, the scale. Defaults to `2`.
        cascade: Whether a group takes the output of the one before; only with `strides=1`.
            Defaults to `True`.
        **kwargs: Those of `BranchedConvolution`.

    Raises:
        ValueError: If an argument is out of range, or `branches` does not divide `filters` and the
            input channels.

    Example:

    >>> keras.ops.shape(MultiScaleConvolution(8, 4)(keras.ops.ones((1, 6, 6, 8))))
    (1, 6, 6, 8)

    Reference:
        - [Gao et al., 2019](https://arxiv.org/abs/1904.01169)
    """

    def __init__(self, filters: int, branches: int = 2, cascade: bool = True, **kwargs: Any):
        super().__init__(filters, branches, **kwargs)
        if self.filters % self.branches:
            raise ValueError(
                "`branches` must divide `filters`. "
                f"Received: branches={self.branches}, filters={self.filters}"
            )
        self.cascade = _checks.boolean("cascade", cascade)
        if self.cascade and self.strides > 1:
            raise ValueError(
                "`cascade` needs strides=1, with which a part has the size of the one before. "
                f"Received: cascade={self.cascade}, strides={self.strides}"
            )
        width = self.filters // self.branches
        self.add_to_row("parts", [self.branch(i, width) for i in range(max(1, branches - 1))])
        self.pool = AveragePool(self.strides, 3, name="pool", **self.sublayer_options())

    @property
    def parts(self) -> list[ConvNorm]:
        """The convolutions in order."""
        return self.row("parts")

    def build(self, input_shape: Shape) -> None:
        # Also where it is not used: a layer that is not built cannot be quantized.
        part = self.channels_of(input_shape) // self.branches
        self.pool.build(self.shape_with(input_shape, channels=part))
        super().build(input_shape)

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        if channels % self.branches or (self.cascade and channels != self.filters):
            needed = counted(self.filters, "channel") if self.cascade else "channels it divides"
            raise ValueError(
                f"`branches` needs inputs with {needed}. "
                f"Received: branches={self.branches}, input_shape={input_shape}"
            )
        part = self.shape_with(input_shape, channels=channels // self.branches)
        steps = [(layer, part) for layer in self.parts]
        if self.branches > 1 and not self.cascade:
            steps.append((self.pool, part))
        shape = self.parts[0].compute_output_shape(part)
        rest = channels // self.branches if self.branches > 1 else 0
        width = len(self.parts) * (self.filters // self.branches) + rest
        return steps, self.shape_with(shape, channels=width)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        parts = ops.split(inputs, self.branches, axis=self.channel_axis)
        outputs = []
        for part, layer in zip(parts, self.parts, strict=False):
            x = self.add(part, outputs[-1]) if outputs and self.cascade else part
            outputs.append(layer(x, training=training))
        if self.branches > 1:
            outputs.append(parts[-1] if self.cascade else self.pool(parts[-1]))
        if len(outputs) == 1:
            return outputs[0]
        return ops.concatenate(outputs, axis=self.channel_axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cascade": self.cascade}
