"""Dual path networks, residual and dense at once: DPN-68 … DPN-131."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_residual import _checks
from keras_residual.layers import DualPathBlock, NormActivation
from keras_residual.models.assembly import Body
from keras_residual.models.factories import classifier, factories
from keras_residual.models.image_architecture import ImageArchitecture
from keras_residual.models.registry import builder
from keras_residual.models.rows import row

CHEN_2017 = "[Chen et al., 2017](https://arxiv.org/abs/1707.01629)"


@dataclass(frozen=True)
class DualPathArchitecture(ImageArchitecture):
    """The options of a dual path network; `DPN` documents them."""

    depths: tuple[int, ...] = (3, 4, 20, 3)
    growth_rates: tuple[int, ...] = (16, 32, 24, 128)
    widths: tuple[int, ...] | None = None
    base_width: int = 96
    cardinality: int = 32
    split_last: bool = False
    norm_epsilon: float = 1e-3

    def body(self, dtype: Any, data_format: str) -> Body:
        """Returns the layers in order: stem, dual path blocks, last normalization."""
        depths = _checks.integers("depths", self.depths)
        rows = zip(depths, self._row("growth_rates"), self._row("widths"), strict=True)
        shared = self.layer_options(dtype, data_format)
        layers = self.stem_layers(False, shared)
        features = {} if self.stem == "none" else {"C1": 0}
        strides, dilation = layers[0].total_strides * 2 ** (len(layers) - 1), 1
        stem_strides = strides
        limit = self.largest_stride(strides, (1, *(2,) * (len(depths) - 1)))
        for index, (depth, growth_rate, width) in enumerate(rows):
            before, step = dilation, 2 if index else 1
            if strides * step > limit:
                dilation, step = dilation * step, 1
            strides *= step
            options = {"strides": step, "dilation_rate": dilation, **shared}
            if dilation != before:
                options["first_dilation_rate"] = before
            layers.append(self._block(index, depth, width, growth_rate, options))
            features[f"C{index + 2}"] = len(layers) - 1
        layers.append(NormActivation(name="final_norm", **self.norm_options(dtype, data_format)))
        features[f"C{len(depths) + 1}"] = len(layers) - 1
        return Body(layers, features, strides, stem_strides=stem_strides)

    def _row(self, name):
        """Returns an option with one entry for each stage."""
        count, values = len(self.depths), getattr(self, name)
        if values is None and name == "widths":
            return [256 * 2**stage for stage in range(count)]
        values = _checks.integers(name, values)
        if len(values) != count:
            raise ValueError(
                f"`{name}` must have one entry for each of the {count} stages. "
                f"Received: {name}={values!r}"
            )
        return values

    def _block(self, index, depth, width, growth_rate, options):
        return DualPathBlock(
            depth,
            width,
            growth_rate,
            _checks.integer("base_width", self.base_width) * 2**index,
            self.cardinality,
            split_last=self.split_last,
            dropout_rate=self.dropout_rate,
            blur_pool=self.blur_pool,
            rematerialize=self.rematerialize,
            name=f"dual{index + 1}",
            **options,
        )


@builder
@classifier(DualPathArchitecture, input_shape=(224, 224, 3), classes=1000)
def DPN(
    depths: Sequence[int] = (3, 4, 20, 3),
    growth_rates: Sequence[int] = (16, 32, 24, 128),
    widths: Sequence[int] | None = None,
    **architecture_options: Any,
) -> DualPathArchitecture:
    """Returns a dual path network with any combination of options.

    Its channels form two paths: each unit adds to the first, as in a residual network, and appends
    to the second, as in a densely connected one. A stem, blocks of such units (each but the first
    halving the resolution), a last normalization and activation, average pooling and a classifier.
    Named members such as `DPN92` are rows of a table over this.

    Args:
        depths: Number of units in each block.
        growth_rates: Channels that each unit appends, one number for each block.
        widths: Channels of the residual path in each block. Defaults to 256, 512, 1024, …
        base_width: Channels inside a unit of the first block; they double with each block. Defaults
            to `96`.
        cardinality: Groups of the 3×3 convolutions. Defaults to `32`.
        split_last: Whether the last convolution of a unit is two, see `layers.DualPathUnit`.
        norm_epsilon: Epsilon of the normalization. Defaults to `1e-3`.
        **architecture_options: Those of `ImageArchitecture`.

    Example:

    >>> DPN((1, 1), (2, 2), (8, 8), base_width=4, cardinality=2, classes=2).output_shape
    (None, 2)

    Reference:
        - [Chen et al., 2017](https://arxiv.org/abs/1707.01629)
    """
    sizes = {"depths": depths, "growth_rates": growth_rates, "widths": widths}
    return DualPathArchitecture(**sizes, **architecture_options)


def _row(name, depths, growth_rates, base_width, cardinality=32, summary="", **options):
    return row(
        f"DPN{name}",
        CHEN_2017,
        summary or f"DPN-{name}, a dual path network.",
        depths=depths,
        growth_rates=growth_rates,
        base_width=base_width,
        cardinality=cardinality,
        **options,
    )


_SMALL = {"widths": (64, 128, 256, 512), "stem": "pooled3", "stem_width": 10}
TABLE = (
    _row("68", (3, 4, 12, 3), (16, 32, 32, 64), 128, **_SMALL),
    _row(
        "68b",
        (3, 4, 12, 3),
        (16, 32, 32, 64),
        128,
        summary="DPN-68b: DPN-68 with a last convolution for each path.",
        split_last=True,
        **_SMALL,
    ),
    _row("92", (3, 4, 20, 3), (16, 32, 24, 128), 96),
    _row("98", (3, 6, 20, 3), (16, 32, 32, 128), 160, 40, stem_width=96),
    _row("107", (4, 8, 20, 3), (20, 64, 64, 128), 200, 50, stem_width=128),
    _row("131", (4, 8, 28, 3), (16, 32, 32, 128), 160, 40, stem_width=128),
)
globals().update(factories(TABLE, DualPathArchitecture, "DPN", (224, 224, 3), 1000))
