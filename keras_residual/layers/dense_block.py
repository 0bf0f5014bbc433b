from typing import Any

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers._loops.rematerialize import call_rematerialized
from keras_residual.layers.composite import BlockLayer, Plan
from keras_residual.layers.dense_unit import DenseUnit
from keras_residual.layers.registration import registered
from keras_residual.layers.sublayers import SublayerRow


@registered
class DenseBlock(SublayerRow, BlockLayer):
    """A dense block: every unit sees the concatenation of the input and all earlier outputs.

    xₗ₊₁ = concat(xₗ, Fₗ(xₗ)); see `DenseUnit` for F.

    Args:
        depth: Positive integer, number of units.
        growth_rate: Positive integer, number of channels that each unit adds.
        bottleneck: Non-negative integer, width of the 1×1 convolutions in growth rates; `0` leaves
            them out. Defaults to `4`.
        dropout_rate: Dropout of the new features, in `[0, 1)`. Defaults to `0`.
        dilation_rate: Positive integer, dilation of the 3×3 convolutions. Defaults to `1`.
        rematerialize: Whether the concatenations and everything inside the units are computed again
            in the backward pass instead of kept: the same numbers, memory linear in the depth.
            Defaults to `False`.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether batch normalization uses batch statistics and dropout acts.

    Returns:
        `(batch, *spatial, channels + depth · growth_rate)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> keras.ops.shape(DenseBlock(3, growth_rate=4)(keras.ops.ones((1, 4, 4, 8))))
    (1, 4, 4, 20)

    Reference:
        - [Huang et al., 2017](https://arxiv.org/abs/1608.06993)
        - [Pleiss et al., 2017](https://arxiv.org/abs/1707.06990), `rematerialize`
    """

    def __init__(
        self,
        depth: int,
        growth_rate: int,
        bottleneck: int = 4,
        dropout_rate: float = 0.0,
        dilation_rate: int = 1,
        rematerialize: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.depth = _checks.integer("depth", depth)
        self.growth_rate = _checks.integer("growth_rate", growth_rate)
        self.bottleneck = _checks.integer("bottleneck", bottleneck, minimum=0)
        self.dropout_rate = _checks.real("dropout_rate", dropout_rate, 0, 1, open_end=True)
        self.dilation_rate = _checks.integer("dilation_rate", dilation_rate)
        self.rematerialize = _checks.boolean("rematerialize", rematerialize)
        units = [
            DenseUnit(
                self.growth_rate,
                self.bottleneck,
                self.dropout_rate,
                self.dilation_rate,
                name=f"unit{index + 1}",
                **self.block_options(2 * index),
            )
            for index in range(self.depth)
        ]
        self.add_to_row("units", units)

    @property
    def units(self) -> list[DenseUnit]:
        """The units in order."""
        return self.row("units")

    def plan(self, input_shape: Shape) -> Plan:
        channels = self.channels_of(input_shape)
        shapes = [
            self.shape_with(input_shape, channels=channels + index * self.growth_rate)
            for index in range(self.depth + 1)
        ]
        return list(zip(self.units, shapes[:-1], strict=True)), shapes[-1]

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        features = [inputs]
        for unit in self.units:
            if self.rematerialize and training:
                new = call_rematerialized(unit, features, self.joined, training=True)
            else:
                new = unit(self.joined(*features), training=training)
            features.append(new)
        return self.joined(*features)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "depth": self.depth,
            "growth_rate": self.growth_rate,
            "bottleneck": self.bottleneck,
            "dropout_rate": self.dropout_rate,
            "dilation_rate": self.dilation_rate,
            "rematerialize": self.rematerialize,
        }
