"""The options of the super-resolution networks and the layers that follow from them."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_residual import _checks
from keras_residual.layers import (
    ICNR,
    ConvNorm,
    ImageNormalization,
    PixelShuffle,
    ResidualBlock,
    ResidualStage,
)
from keras_residual.layers.bicubic_upsampling import BicubicUpsampling
from keras_residual.layers.parametric_relu import ParametricReLU
from keras_residual.models.assembly import Body, Skip

SCALES = (2, 3, 4)
# Mean of the photographs of DIV2K, on which EDSR was trained.
_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


@dataclass(frozen=True)
class SuperResolutionArchitecture:
    """Base of super-resolution networks; a subclass implements `body`."""

    scale: int = 4
    channels: int = 3
    filters: int = 64
    depth: int = 16
    kernel_initializer: object = None
    kernel_regularizer: object = None
    execution: str = "auto"
    rematerialize: bool = False

    def __post_init__(self) -> None:
        _checks.choice("scale", self.scale, SCALES)
        for name in ("channels", "filters", "depth"):
            _checks.integer(name, getattr(self, name))

    def body(self, dtype: Any, data_format: str) -> Body:
        """Returns the layers in order, and the long skip connections."""
        raise TypeError(f"{type(self).__name__} must implement `body`.")

    def _initializer(self):
        """PyTorch's by default: without normalization, activations would grow with He's."""
        default = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        return self.kernel_initializer or default

    def _shared(self, dtype, data_format):
        return {
            "kernel_initializer": self._initializer(),
            "kernel_regularizer": self.kernel_regularizer,
            "dtype": dtype,
            "data_format": data_format,
        }

    def _conv(self, name, shared, **options):
        defaults = {"filters": self.filters, "normalization": "none", "activation": None}
        return ConvNorm(name=name, **{**shared, **defaults, **options})

    def _stage(self, depth, shared, **options):
        return ResidualStage(
            ResidualBlock(self.filters, **{**shared, **options}),
            depth,
            execution=self.execution,
            rematerialize=self.rematerialize,
            name="stage1",
        )

    def _upsampling(self, shared, prelu=False):
        """Upsamples in steps of 2 or 3, each a convolution followed by a `PixelShuffle`."""
        layers = []
        plain = {key: shared[key] for key in ("dtype", "data_format")}
        for step, factor in enumerate((2, 2) if self.scale == 4 else (self.scale,), start=1):
            options = {
                "filters": self.filters * factor**2,
                "kernel_initializer": ICNR(factor, self._initializer()),
            }
            layers.append(self._conv(f"upsample{step}", shared, **options))
            layers.append(PixelShuffle(factor, name=f"shuffle{step}", **plain))
            if prelu:
                layers.append(ParametricReLU(name=f"prelu{step}", **plain))
        return layers


@dataclass(frozen=True)
class VDSRArchitecture(SuperResolutionArchitecture):
    """The options of `VDSR`."""

    channels: int = 1
    depth: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth < 4 or self.depth % 2:
            raise ValueError(
                "`depth` must be an even number of convolutions, at least 4. "
                f"Received: depth={self.depth!r}"
            )

    def _initializer(self):
        return self.kernel_initializer or keras.initializers.HeNormal()

    def body(self, dtype: Any, data_format: str) -> Body:
        shared = self._shared(dtype, data_format)
        layers = [
            BicubicUpsampling(self.scale, name="bicubic", dtype=dtype, data_format=data_format),
            self._conv("head", shared, activation="relu"),
            # Blocks without shortcuts are plain convolutions, two each.
            self._stage(self.depth // 2 - 1, shared, normalization="none", shortcut="none"),
            self._conv("tail", shared, filters=self.channels),
        ]
        return Body(layers, {}, 1, skips={"tail": (Skip("head", is_output=True),)})


@dataclass(frozen=True)
class SRResNetArchitecture(SuperResolutionArchitecture):
    """The options of `SRResNet`."""

    output_activation: object = None
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5

    def body(self, dtype: Any, data_format: str) -> Body:
        shared = self._shared(dtype, data_format)
        norm = {"norm_momentum": self.norm_momentum, "norm_epsilon": self.norm_epsilon}
        last = {"filters": self.channels, "kernel_size": 9, "activation": self.output_activation}
        layers = [
            self._conv("head", shared, kernel_size=9, activation="prelu"),
            self._stage(self.depth, shared, activation_order="inner", activation="prelu", **norm),
            self._conv("trunk", shared, normalization="batch", **norm),
            *self._upsampling(shared, prelu=True),
            self._conv("tail", shared, **last),
            # From [-1, 1] to [0, 1].
            _affine("restore", [-1.0] * self.channels, 2.0, dtype.variable_dtype, data_format),
        ]
        return Body(layers, {}, 1, skips={"trunk": (Skip("stage1"),)})


@dataclass(frozen=True)
class EDSRArchitecture(SuperResolutionArchitecture):
    """The options of `EDSR`."""

    residual_scale: float = 1.0
    activation: object = "relu"

    def body(self, dtype: Any, data_format: str) -> Body:
        shared = self._shared(dtype, data_format)
        block = {
            "normalization": "none",
            "activation_order": "inner",
            "activation": self.activation,
            "residual_scale": self.residual_scale,
        }
        mean = _DIV2K_MEAN
        if self.channels != len(mean):
            mean = (sum(mean) / len(mean),) * self.channels
        layers = [
            _affine("standardize", mean, 1.0, dtype, data_format),
            self._conv("head", shared),
            self._stage(self.depth, shared, **block),
            self._conv("trunk", shared),
            *self._upsampling(shared),
            self._conv("tail", shared, filters=self.channels),
            _affine("restore", [-m for m in mean], 1.0, dtype.variable_dtype, data_format),
        ]
        return Body(layers, {}, 1, skips={"trunk": (Skip("stage1"),)})


def _affine(name, mean, std, dtype, data_format):
    """Returns the layer that computes (x - mean) / std."""
    return ImageNormalization(
        mean, [std] * len(mean), 1.0, name=name, dtype=dtype, data_format=data_format
    )
