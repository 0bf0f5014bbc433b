from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers._loops.rematerialize import call_rematerialized
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.pooling import max_pool, pooled_shape
from keras_residual.layers.registration import registered
from keras_residual.layers.stochastic_depth import MeanOfPaths
from keras_residual.layers.sublayers import SublayerRow

# A block of n columns has 2ⁿ - 1 convolutions.
MOST_COLUMNS = 12


@registered
class FractalBlock(SublayerRow, BlockLayer):
    """A fractal of convolutions: columns of 1, 2, 4, … of them, averaged where they meet.

    f₁(x) = conv(x) and fₙ₊₁(x) = mean(conv(x), fₙ(fₙ(x))), each 3×3 convolution followed by a
    normalization and an activation; columns that meet at the same depth share one mean. Paths pass
    through different numbers of convolutions, and none bypasses them all. Before the last mean, 2×2
    max pooling halves the resolution of each column.

    Args:
        filters: Positive integer, channels of all convolutions.
        columns: Positive integer up to 12, n of f_n; the longest path has 2ⁿ⁻¹ convolutions.
            Defaults to `3`.
        strides: `2`, or `1` for no pooling. Defaults to `2`.
        dilation_rate: Positive integer, dilation of the convolutions. Defaults to `1`.
        drop_path_rate: Probability of dropping a path from a mean, in `[0, 1)`, see `MeanOfPaths`.
            Defaults to `0`.
        global_drop_path: Share of the samples, in `[0, 1]`, that take a single random column in
            training. Defaults to `0`.
        column_seed: Integer seed of that choice. Blocks of one network with the same seed choose
            the same column for a sample, as each draws once per step. Defaults to a random one.
        dropout_rate: Dropout after each convolution, in `[0, 1)`. Defaults to `0`.
        rematerialize: Whether values inside the convolutions are computed again in the backward
            pass instead of kept. Defaults to `False`.
        **kwargs: Those of `BlockLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether normalization uses batch statistics, and drop path and dropout act.

    Returns:
        `(batch, *floor(spatial / strides), filters)`.

    Raises:
        ValueError: If an argument is out of range, or a spatial size is smaller than `strides`.

    Example:

    >>> keras.ops.shape(FractalBlock(8, columns=2)(keras.ops.ones((1, 4, 4, 3))))
    (1, 2, 2, 8)

    Reference:
        - [Larsson et al., 2017](https://arxiv.org/abs/1605.07648), with local and global drop path
    """

    def __init__(
        self,
        filters: int,
        columns: int = 3,
        strides: int = 2,
        dilation_rate: int = 1,
        drop_path_rate: float = 0.0,
        dropout_rate: float = 0.0,
        rematerialize: bool = False,
        global_drop_path: float = 0.0,
        column_seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = _checks.integer("filters", filters)
        self.columns = _checks.integer("columns", columns, 1, MOST_COLUMNS)
        self.strides = _checks.choice("strides", strides, (1, 2))
        self.dilation_rate = _checks.integer("dilation_rate", dilation_rate)
        self.drop_path_rate = _checks.real("drop_path_rate", drop_path_rate, 0, 1, open_end=True)
        self.dropout_rate = _checks.real("dropout_rate", dropout_rate, 0, 1, open_end=True)
        self.rematerialize = _checks.boolean("rematerialize", rematerialize)
        self.global_drop_path = _checks.real("global_drop_path", global_drop_path, 0, 1)
        self.column_seed = _checks.integer_or_none("column_seed", column_seed, minimum=0)
        self.column_generator = (
            keras.random.SeedGenerator(self.column_seed) if self.global_drop_path else None
        )
        places = [(column, index) for column in range(self.columns) for index in range(2**column)]
        self.add_to_row("convolutions", [self._convolution(*place) for place in places])
        means = [
            MeanOfPaths(self.drop_path_rate, dtype=self.dtype_policy, name=f"mean{index + 1}")
            for index in range(self._length // 2)
        ]
        self.add_to_row("means", means)
        self.dropout = None
        if self.dropout_rate:
            self.dropout = keras.layers.Dropout(
                self.dropout_rate, dtype=self.dtype_policy, name="dropout"
            )

    @property
    def convolutions(self) -> list[ConvNorm]:
        """The convolutions column by column."""
        return self.row("convolutions")

    @property
    def means(self) -> list[MeanOfPaths]:
        """The means in the order in which they are taken."""
        return self.row("means")

    def column(self, index: int) -> list[ConvNorm]:
        """Returns the convolutions of a column, counted from 0."""
        return self.convolutions[2**index - 1 : 2 ** (index + 1) - 1]

    def check_opens(self) -> None:
        if self.global_drop_path:
            raise ValueError(
                "`global_drop_path` needs fractal blocks that are layers: a flat network cannot "
                f"choose a column only in training. Received: {self.path!r} with "
                f"global_drop_path={self.global_drop_path}"
            )

    @property
    def _length(self):
        """The number of convolutions in the longest path."""
        return 2 ** (self.columns - 1)

    def _convolution(self, column, index):
        return ConvNorm(
            self.filters,
            3,
            dilation_rate=self.dilation_rate,
            name=f"column{column + 1}_conv{index + 1}",
            **self.block_options(2**column + index),
        )

    def plan(self, input_shape: Shape) -> Plan:
        steps = []
        for column in range(self.columns):
            more, shape = chain(self.column(column), input_shape)
            steps += more
        return steps, pooled_shape(self, shape, self.strides)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        ends, chosen = [inputs] * self.columns, None
        if self.global_drop_path and training:
            chosen = self._chosen_columns(inputs)
        means = iter(self.means)
        for step in range(1, self._length + 1):
            # A column takes part at every step at which one of its convolutions ends.
            first = next(c for c in range(self.columns) if step % (self._length >> c) == 0)
            for column in range(first, self.columns):
                index = step * 2**column // self._length - 1
                convolution = self.column(column)[index]
                ends[column] = self._convolved(convolution, ends[column], training)
            if step == self._length and self.strides == 2:
                ends = [max_pool(end, 2, 2, "valid", self.channels_first) for end in ends]
            if first < self.columns - 1:
                rest = None if chosen is None else chosen[first:]
                mean = next(means)(ends[first:], training=training, chosen=rest)
                ends[first:] = [mean] * (self.columns - first)
        return ends[0]

    def _chosen_columns(self, inputs):
        """Returns `(columns, batch, 1, …)`: 1 at the only column that a sample goes through."""
        shape = (2, ops.shape(inputs)[0]) + (1,) * (len(inputs.shape) - 1)
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.column_generator)
        column = ops.floor(drawn[1] * self.columns)
        single_column = drawn[0] < self.global_drop_path
        chosen = [ops.logical_and(single_column, column == index) for index in range(self.columns)]
        return ops.cast(ops.stack(chosen), "float32")

    def _convolved(self, convolution, x, training):
        if self.rematerialize and training:
            x = call_rematerialized(convolution, [x], training=True)
        else:
            x = convolution(x, training=training)
        return x if self.dropout is None else self.dropout(x, training=training)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "columns": self.columns,
            "strides": self.strides,
            "dilation_rate": self.dilation_rate,
            "drop_path_rate": self.drop_path_rate,
            "dropout_rate": self.dropout_rate,
            "rematerialize": self.rematerialize,
            "global_drop_path": self.global_drop_path,
            "column_seed": self.column_seed,
        }
