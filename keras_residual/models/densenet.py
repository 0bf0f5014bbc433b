"""Densely connected networks: DenseNet-121 … 201, DenseNet-BC for small images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from keras_residual import _checks
from keras_residual.layers import DenseBlock, DenseTransition, NormActivation
from keras_residual.models._requirements import SHARED, Requirement
from keras_residual.models.assembly import Body
from keras_residual.models.factories import classifier, factories
from keras_residual.models.image_architecture import ImageArchitecture
from keras_residual.models.registry import builder
from keras_residual.models.rows import row

HUANG_2017 = "[Huang et al., 2017](https://arxiv.org/abs/1608.06993)"


@dataclass(frozen=True)
class DenseNetArchitecture(ImageArchitecture):
    """The options of a densely connected network; `DenseNet` documents them."""

    requirements: ClassVar[tuple[Requirement, ...]] = (
        *SHARED,
        Requirement(
            "compression",
            "a second dense block",
            ("depths",),
            lambda options, _: len(options.depths) > 1,
        ),
    )

    depths: tuple[int, ...] = (6, 12, 24, 16)
    growth_rate: int = 32
    bottleneck: int = 4
    compression: float = 0.5

    def body(self, dtype: Any, data_format: str) -> Body:
        """Returns the layers in order: stem, dense blocks with transitions, last activation."""
        depths = _checks.integers("depths", self.depths)
        kernels = self.layer_options(dtype, data_format)
        layers = self.stem_layers(self.stem == "conv3", kernels)
        features = {} if self.stem == "none" else {"C1": 0}
        strides, dilation = layers[0].total_strides * 2 ** (len(layers) - 1), 1
        stem_strides = strides
        limit = self.largest_stride(strides, (2,) * (len(depths) - 1))
        for index, depth in enumerate(depths, start=1):
            layers.append(self._dense_block(index, depth, dilation, kernels))
            features[f"C{index + 1}"] = len(layers) - 1
            if index == len(depths):
                break
            step = 2 if strides * 2 <= limit else 1
            strides, dilation = strides * step, dilation * 2 // step
            layers.append(
                DenseTransition(
                    self.compression, step, self.blur_pool, name=f"transition{index}", **kernels
                )
            )
        layers.append(NormActivation(name="final_norm", **self.norm_options(dtype, data_format)))
        features[f"C{len(depths) + 1}"] = len(layers) - 1
        return Body(layers, features, strides, stem_strides=stem_strides)

    def _dense_block(self, index, depth, dilation_rate, kernels):
        return DenseBlock(
            depth,
            self.growth_rate,
            self.bottleneck,
            self.dropout_rate,
            dilation_rate,
            rematerialize=self.rematerialize,
            name=f"dense{index}",
            **kernels,
        )


@builder
@classifier(DenseNetArchitecture, input_shape=(224, 224, 3), classes=1000)
def DenseNet(
    depths: Sequence[int] = (6, 12, 24, 16),
    growth_rate: int = 32,
    **architecture_options: Any,
) -> DenseNetArchitecture:
    """Returns a densely connected network with any combination of options.

    A stem, dense blocks with transitions between them, a last normalization and activation, average
    pooling and a classifier. Named members such as `DenseNet121` are rows of a table over this.

    Args:
        depths: Number of units in each dense block.
        growth_rate: Channels that each unit adds.
        bottleneck: Width of the 1×1 convolutions in growth rates; `0` leaves them out.
        compression: Fraction of the channels that a transition keeps. Defaults to `0.5`.
        stem: `"conv7"`, `"deep"`, `"tiered"`, `"conv3"`, `"strided3"`, `"pooled3"` or `"none"`, see
            `layers.Stem`; after `"conv3"` and `"none"` the first dense unit normalizes.
        dropout_rate: Dropout of the new features of each unit.
        blur_pool: Whether max pooling and transitions downsample by a blur.
        rematerialize: Whether concatenations and the units' activations are recomputed in the
            backward pass.
        features: `True` for a dict of the outputs of all dense blocks, `"C2"` (strides 4) to `"C5"`
            (strides 32, normalized), in place of the top; or a tuple of some of these names and of
            `"C1"`, the stem's output before its pooling (strides 2; of a `"conv3"` stem 1).
        **architecture_options: Those of `ImageArchitecture`.

    Example:

    >>> DenseNet((2, 2), 4, stem="conv3", input_shape=(8, 8, 1), classes=2).output_shape
    (None, 2)

    Reference:
        - [Huang et al., 2017](https://arxiv.org/abs/1608.06993)
    """
    return DenseNetArchitecture(depths, growth_rate, **architecture_options)


def _row(name, summary, **options):
    return row(name, HUANG_2017, summary, **options)


def _small(name, summary, depth, growth_rate):
    return _row(
        name,
        summary,
        depths=(depth,) * 3,
        growth_rate=growth_rate,
        stem="conv3",
        stem_width=2 * growth_rate,
    )


IMAGENET = (
    _row("DenseNet121", "DenseNet-121.", depths=(6, 12, 24, 16)),
    _row(
        "DenseNet161",
        "DenseNet-161, growth rate 48.",
        depths=(6, 12, 36, 24),
        growth_rate=48,
        stem_width=96,
    ),
    _row("DenseNet169", "DenseNet-169.", depths=(6, 12, 32, 32)),
    _row("DenseNet201", "DenseNet-201.", depths=(6, 12, 48, 32)),
    _row(
        "DenseNetBlur121D",
        "DenseNet-121 with a deep stem and blurred max pooling.",
        stem="deep",
        stem_pool="blur",
    ),
)
SMALL = (
    _small("DenseNetBC100_12", "DenseNet-BC of depth 100, growth 12.", 16, 12),
    _small("DenseNetBC190_40", "DenseNet-BC of depth 190, growth 40.", 31, 40),
)
globals().update(factories(IMAGENET, DenseNetArchitecture, "DenseNet", (224, 224, 3), 1000))
globals().update(factories(SMALL, DenseNetArchitecture, "DenseNet", (32, 32, 3), 10))
