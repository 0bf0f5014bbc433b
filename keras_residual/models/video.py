"""Residual networks for video clips: R3D, MC3 and R(2+1)D."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from keras_residual import _checks
from keras_residual.layers import FactorizedBlock, ResidualBlock, ResidualStage, Stem
from keras_residual.models._requirements import NORM_EPSILON, NORM_MOMENTUM
from keras_residual.models.assembly import Body
from keras_residual.models.factories import classifier, factories
from keras_residual.models.image_architecture import ConvolutionalArchitecture
from keras_residual.models.registry import builder
from keras_residual.models.resnet_architecture import drop_path_rates
from keras_residual.models.rows import row

TRAN_2018 = "[Tran et al., 2018](https://arxiv.org/abs/1711.11248)"
# The kinds of convolutions, each with the stem of a network that begins with it.
STEMS = {"full": "clip7", "frames": "frames7", "factorized": "factorized7"}
_OVER_FRAMES = (1, 3, 3)


@dataclass(frozen=True)
class VideoResNetArchitecture(ConvolutionalArchitecture):
    """The options of a residual network for clips; `VideoResNet` documents them."""

    requirements: ClassVar = (NORM_MOMENTUM, NORM_EPSILON)

    convolutions: str | tuple[str, ...] = "factorized"
    depths: tuple[int, ...] = (2, 2, 2, 2)
    widths: tuple[int, ...] | None = None
    stem_width: int = 64
    drop_path_rate: float = 0.0
    zero_init_residual: bool = False
    execution: str = "auto"

    def __post_init__(self) -> None:
        depths, widths = _checks.integers("depths", self.depths), self.widths
        if widths is None:
            widths = tuple(64 * 2**stage for stage in range(len(depths)))
        object.__setattr__(self, "depths", depths)
        object.__setattr__(self, "widths", widths)

    def body(self, dtype: Any, data_format: str) -> Body:
        """Returns the layers in order: stem and stages."""
        kinds, widths = self._kinds(), _checks.integers("widths", self.widths)
        if len(widths) != len(self.depths):
            raise ValueError(
                "`depths` and `widths` must have one entry for each stage. "
                f"Received: depths={self.depths!r}, widths={self.widths!r}"
            )
        _checks.real("drop_path_rate", self.drop_path_rate, 0.0, 1.0, open_end=True)
        shared = self.layer_options(dtype, data_format)
        width = _checks.integer("stem_width", self.stem_width)
        stem = Stem(width, STEMS[kinds[0]], name="stem", **shared)
        layers, features = [stem], {"C1": 0}
        stem_strides = strides = stem.total_strides
        for stage, kind in enumerate(kinds):
            step = _strides(kind) if stage else (1, 1, 1)
            strides = tuple(a * b for a, b in zip(strides, step, strict=True))
            layers.append(self._stage(stage, kind, step, shared))
            features[f"C{stage + 2}"] = len(layers) - 1
        return Body(layers, features, strides, stem_strides=stem_strides)

    def _kinds(self):
        kinds, count = self.convolutions, len(self.depths)
        if isinstance(kinds, str):
            _checks.choice("convolutions", kinds, tuple(STEMS))
            return (kinds,) * count
        if (
            not isinstance(kinds, (tuple, list))
            or len(kinds) != count
            or not all(isinstance(kind, str) and kind in STEMS for kind in kinds)
        ):
            raise ValueError(
                f"`convolutions` must be one of {', '.join(map(repr, STEMS))}, or a tuple of these "
                f"for each of the {count} stages. Received: convolutions={kinds!r}"
            )
        return tuple(kinds)

    def _stage(self, stage, kind, strides, shared):
        options = {"zero_init_residual": self.zero_init_residual, **shared}
        width = self.widths[stage]
        if kind == "factorized":
            block = FactorizedBlock(width, **options)
        else:
            sizes = (3, 3) if kind == "full" else (_OVER_FRAMES, _OVER_FRAMES)
            block = ResidualBlock(width, sizes, **options)
        return ResidualStage(
            block,
            self.depths[stage],
            first={"strides": strides},
            drop_path_rates=drop_path_rates(self.drop_path_rate, self.depths, stage),
            execution=self.execution,
            rematerialize=self.rematerialize,
            name=f"stage{stage + 1}",
        )


def _strides(kind):
    """Returns the strides of a stage; convolutions within frames keep the number of frames."""
    return (1, 2, 2) if kind == "frames" else (2, 2, 2)


@builder
@classifier(VideoResNetArchitecture, input_shape=(16, 112, 112, 3), classes=400)
def VideoResNet(
    convolutions: str = "factorized",
    depths: Sequence[int] = (2, 2, 2, 2),
    widths: Sequence[int] | None = None,
    **architecture_options: Any,
) -> VideoResNetArchitecture:
    """Returns a residual network for clips with any combination of options.

    A stem, stages of basic blocks (each halving time, height and width but the first), average
    pooling over all of them and a classifier. `R3D18`, `MC3_18` and `R2Plus1D18` are rows of a
    table over this function.

    Phones do not accelerate 3-D convolutions. Networks of `"frames"` and `"factorized"` stages are
    computed, and exported, with 2-D convolutions only.

    Args:
        convolutions: `"full"`, 3×3×3; `"factorized"`, 1×3×3 and 3×1×1 one after the other, see
            `layers.FactorizedBlock`; or `"frames"`, 1×3×3, which keeps the number of frames. One
            for all stages, or a tuple of one for each. The stem is of the first kind. Defaults to
            `"factorized"`.
        depths: Number of blocks in each stage.
        widths: Width of each stage. Defaults to 64, 128, 256, …
        input_shape: Optional shape without batch: frames, height, width (or `None` each) and
            channels. Defaults to `(16, 112, 112, 3)`, without sizes if `include_top=False`.
        stem_width: Output channels of the stem. Defaults to `64`.
        drop_path_rate: Drop path rate of the last block; it grows linearly from 0 in the first.
        zero_init_residual: Whether residual functions start at zero.
        execution: `"auto"`, `"unrolled"` or `"scanned"`, see `layers.ResidualStage`.
        features: `True` for a dict of the outputs of all stages, `"C2"` to `"C5"`, in place of the
            top; or a tuple of some of these names and of `"C1"`, the stem's.
        **architecture_options: Those of `ConvolutionalArchitecture`.

    Returns:
        A `keras.Model` from clips `(batch, frames, height, width, channels)`.

    Raises:
        ValueError: If an argument is out of range or unknown, or has no effect beside the others.

    Example:

    >>> model = VideoResNet("factorized", (1, 1), (4, 8), input_shape=(4, 16, 16, 3), classes=2)
    >>> model.output_shape
    (None, 2)

    Reference:
        - [Tran et al., 2018](https://arxiv.org/abs/1711.11248)
    """
    return VideoResNetArchitecture(convolutions, depths, widths, **architecture_options)


TABLE = (
    row(
        "R3D18",
        TRAN_2018,
        "R3D-18: 3×3×3 convolutions throughout, which phones are slow at.",
        convolutions="full",
    ),
    row(
        "MC3_18",
        TRAN_2018,
        "MC3-18: 3×3×3 convolutions in the first stage, within frames in the others.",
        convolutions=("full", "frames", "frames", "frames"),
    ),
    row(
        "R2Plus1D18",
        TRAN_2018,
        "R(2+1)D-18: convolutions over space, then over time; 2-D alone when exported.",
        convolutions="factorized",
    ),
)
globals().update(factories(TABLE, VideoResNetArchitecture, "VideoResNet", (16, 112, 112, 3), 400))
