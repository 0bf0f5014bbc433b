"""The options that every family of networks for images has, and what follows from them."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

from keras_residual import _checks
from keras_residual.layers import Stem
from keras_residual.layers.average_pool import DOWNSAMPLING
from keras_residual.layers.stem import POOLING, check_options
from keras_residual.models._requirements import SHARED


@dataclass(frozen=True, kw_only=True)
class ImageArchitecture:
    """A stem, stages that reduce the resolution, and what all their layers share.

    A subclass adds the options of its stages and implements `body`.
    """

    requirements: ClassVar = SHARED

    stem: str = "conv7"
    stem_width: int = 64
    stem_pool: bool | str = True
    pool_padding: str = "minimum"
    space_to_depth: bool = False
    dropout_rate: float = 0.0
    blur_pool: bool | str = False
    output_stride: int | None = None
    normalization: str = "batch"
    activation: object = "relu"
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    kernel_initializer: object = None
    kernel_regularizer: object = None
    weight_standardization: bool = False
    rematerialize: bool = False

    def norm_options(self, dtype, data_format: str) -> dict[str, object]:
        """Returns the arguments of a layer that normalizes and activates."""
        return {
            "normalization": self.normalization,
            "activation": self.activation,
            "norm_momentum": self.norm_momentum,
            "norm_epsilon": self.norm_epsilon,
            "dtype": dtype,
            "data_format": data_format,
        }

    def layer_options(self, dtype, data_format: str) -> dict[str, object]:
        """Returns the arguments of a layer that convolves too."""
        return {
            "kernel_initializer": self.kernel_initializer,
            "kernel_regularizer": self.kernel_regularizer,
            "weight_standardization": self.weight_standardization,
            **self.norm_options(dtype, data_format),
        }

    def stem_layers(self, preactivated: bool, shared: dict, **options) -> list:
        """Returns the stem and, if there is one, its pooling as a layer of its own.

        Between the two stands the output with strides 2. Errors name the options as they are called
        here.
        """
        check_options(
            self.stem_width,
            self.stem,
            self.stem_pool,
            self.pool_padding,
            self.space_to_depth,
            names=("stem_width", "stem", "stem_pool"),
        )
        stem = Stem(
            self.stem_width,
            self.stem,
            pool=False,
            preactivated=preactivated,
            space_to_depth=self.space_to_depth,
            name="stem",
            **options,
            **shared,
        )
        if not self.stem_pool or self.stem not in POOLING:
            return [stem]
        # The other kinds of it stand in the stages alone.
        blurred = _checks.choice("blur_pool", self.blur_pool, DOWNSAMPLING) is True
        return [stem, stem.make_pool("stem_pool", self.stem_pool, self.pool_padding, blurred)]

    def largest_stride(self, strides: int, stage_strides: tuple[int, ...]) -> int:
        """Returns the checked `output_stride`, or the product of all strides without one."""
        reachable = list(itertools.accumulate((strides, *stage_strides), lambda a, b: a * b))
        if self.output_stride is None:
            return reachable[-1]
        return _checks.choice("output_stride", self.output_stride, sorted(set(reachable)))
