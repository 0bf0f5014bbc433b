from typing import Any

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers._loops.rematerialize import call_in_order
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.dual_path_unit import DualPathUnit
from keras_residual.layers.registration import registered
from keras_residual.layers.sublayers import SublayerRow


@registered
class DualPathBlock(SublayerRow, BlockLayer):
    """A sequence of dual path units; the first starts both paths with a projection.

    See `DualPathUnit` for what a unit computes.

    Args:
        depth: Positive integer, number of units.
        filters: Positive integer, channels of the residual path.
        growth_rate: Positive integer, channels that the dense path grows by in each unit; the
            projection gives it two growth rates to begin with.
        width: Positive integer, channels inside a unit.
        cardinality: Positive integer, groups of the 3×3 convolutions. Defaults to `1`.
        strides: Positive integer, strides of the first unit. Defaults to `1`.
        dilation_rate: Positive integer, dilation of the 3×3 convolutions. Defaults to `1`.
        first_dilation_rate: Dilation in the first unit, where it differs. Defaults to `None`.
        split_last: Whether the last convolution of a unit is two, see `DualPathUnit`. Defaults to
            `False`.
        dropout_rate: Dropout before the last convolution, in `[0, 1)`. Defaults to `0`.
        blur_pool: What downsamples in place of strides, see `ConvNorm`. Defaults to `False`.
        rematerialize: Whether everything inside the units is computed again in the backward pass
            instead of kept. Defaults to `False`.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether normalization uses batch statistics and dropout acts.

    Returns:
        `(batch, *ceil(spatial / strides), filters + (depth + 2) · growth_rate)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> block = DualPathBlock(3, 8, growth_rate=2, width=4, strides=2)
    >>> keras.ops.shape(block(keras.ops.ones((1, 4, 4, 6))))
    (1, 2, 2, 18)

    Reference:
        - [Chen et al., 2017](https://arxiv.org/abs/1707.01629)
    """

    def __init__(
        self,
        depth: int,
        filters: int,
        growth_rate: int,
        width: int,
        cardinality: int = 1,
        strides: int = 1,
        dilation_rate: int = 1,
        first_dilation_rate: int | None = None,
        split_last: bool = False,
        dropout_rate: float = 0.0,
        blur_pool: bool | str = False,
        rematerialize: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.depth = _checks.integer("depth", depth)
        self.rematerialize = _checks.boolean("rematerialize", rematerialize)
        self.first_dilation_rate = _checks.integer_or_none(
            "first_dilation_rate", first_dilation_rate
        )
        self._unit_options = {
            "filters": filters,
            "growth_rate": growth_rate,
            "width": width,
            "cardinality": cardinality,
            "split_last": split_last,
            "dropout_rate": dropout_rate,
            "blur_pool": blur_pool,
            "dilation_rate": dilation_rate,
        }
        self.strides = _checks.integer("strides", strides)
        self.add_to_row("units", [self._unit(index) for index in range(self.depth)])

    def _unit(self, index):
        options = {**self._unit_options, **self.block_options(5 * index)}
        if index == 0:
            options |= {"strides": self.strides, "projection": True}
            options["dilation_rate"] = self.first_dilation_rate or options["dilation_rate"]
        return DualPathUnit(name=f"unit{index + 1}", **options)

    @property
    def units(self) -> list[DualPathUnit]:
        """The units in order."""
        return self.row("units")

    def plan(self, input_shape: Shape) -> Plan:
        return chain(self.units, input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        return call_in_order(self.units, inputs, training, self.rematerialize)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self._unit_options,
            "depth": self.depth,
            "strides": self.strides,
            "first_dilation_rate": self.first_dilation_rate,
            "rematerialize": self.rematerialize,
        }
