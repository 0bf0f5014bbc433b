"""Highway networks: convolutions whose input passes by as far as a learned gate lets it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from keras_residual import _checks
from keras_residual.layers import ConvNorm, HighwayStage
from keras_residual.models._requirements import NORM_EPSILON, NORM_MOMENTUM
from keras_residual.models.assembly import Body
from keras_residual.models.factories import classifier, factories
from keras_residual.models.image_architecture import ConvolutionalArchitecture
from keras_residual.models.registry import builder
from keras_residual.models.rows import row

SRIVASTAVA_2015 = "[Srivastava et al., 2015](https://arxiv.org/abs/1507.06228)"


@dataclass(frozen=True)
class HighwayArchitecture(ConvolutionalArchitecture):
    """The options of a highway network; `HighwayNet` documents them."""

    requirements: ClassVar = (NORM_MOMENTUM, NORM_EPSILON)

    widths: tuple[int, ...] = (32, 80, 128)
    depths: tuple[int, ...] = (5, 6, 6)
    final_width: int | None = 100
    kernel_size: int = 3
    transform_bias: float = -2.0
    dropout_rate: float = 0.0
    normalization: str = "none"

    def body(self, dtype: Any, data_format: str) -> Body:
        """Returns the stages and the last convolution."""
        widths = _checks.integers("widths", self.widths)
        depths = _checks.integers("depths", self.depths)
        if len(depths) != len(widths):
            raise ValueError(
                "`depths` and `widths` must have one entry for each stage. "
                f"Received: depths={self.depths!r}, widths={self.widths!r}"
            )
        shared = self.layer_options(dtype, data_format)
        stages = [
            HighwayStage(
                width,
                depth,
                2 if stage < len(widths) else 1,
                self.kernel_size,
                transform_bias=self.transform_bias,
                dropout_rate=self.dropout_rate,
                rematerialize=self.rematerialize,
                name=f"highway{stage}",
                **shared,
            )
            for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1)
        ]
        features = {f"C{stage + 2}": stage for stage in range(len(stages))}
        layers = [*stages]
        if self.final_width is not None:
            width = _checks.integer("final_width", self.final_width)
            layers.append(ConvNorm(width, 1, name="final_conv", **shared))
        return Body(layers, features, 2 ** (len(stages) - 1))


@builder
@classifier(HighwayArchitecture, input_shape=(32, 32, 3), classes=10)
def HighwayNet(
    widths: Sequence[int] = (32, 80, 128),
    depths: Sequence[int] = (5, 6, 6),
    **architecture_options: Any,
) -> HighwayArchitecture:
    """Returns a highway network with any combination of options.

    Stages of a plain convolution and highway layers, 2×2 max pooling between them, a 1×1
    convolution, average pooling and a classifier. `HighwayNet19` is a row of a table over this.

    Args:
        widths: Channels of each stage.
        depths: Layers of each stage, the plain convolution included.
        final_width: Width of the 1×1 convolution after the last stage, `None` for none. Defaults
            to `100`.
        kernel_size: Size of all other convolutions. Defaults to `3`.
        transform_bias: Number at which the biases of the gates start; less for deeper networks.
            Defaults to `-2`.
        dropout_rate: Dropout in front of each stage; 0.2 in the paper. Defaults to `0`.
        input_shape: Optional shape without batch, one to three spatial sizes (or `None`) and the
            channels. Defaults to `(32, 32, 3)`, without sizes if `include_top=False`.
        normalization: As below. Defaults to `"none"`, as in the paper.
        features: `True` for a dict of the outputs of all stages, `"C2"` and so on, in place of the
            top; or a tuple of some of these names.
        **architecture_options: Those of `ConvolutionalArchitecture`.

    Example:

    >>> HighwayNet((4, 8), (2, 3), input_shape=(8, 8, 1), classes=2).output_shape
    (None, 2)

    Reference:
        - [Srivastava et al., 2015](https://arxiv.org/abs/1507.06228)
    """
    return HighwayArchitecture(widths=widths, depths=depths, **architecture_options)


TABLE = (
    row(
        "HighwayNet19",
        SRIVASTAVA_2015,
        "The 19-layer highway network for CIFAR.",
        widths=(32, 80, 128),
    ),
)
globals().update(factories(TABLE, HighwayArchitecture, "HighwayNet", (32, 32, 3), 10))
