"""The options that all families of networks for images share."""

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

from keras_residual import _checks
from keras_residual.layers import Stem
from keras_residual.layers.average_pool import DOWNSAMPLING
from keras_residual.layers.stem import KINDS, POOLING, check_options
from keras_residual.models._requirements import SHARED, Requirement


@dataclass(frozen=True, kw_only=True)
class NormalizedArchitecture:
    """The options of normalizations, activations and kernels, which every network has."""

    normalization: str = "batch"
    activation: object = "relu"
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    kernel_initializer: object = None
    kernel_regularizer: object = None

    def norm_options(self, dtype: Any, data_format: str) -> dict[str, object]:
        """Returns the arguments of a layer with a normalization and an activation."""
        names = ("normalization", "activation", "norm_momentum", "norm_epsilon")
        shared = {name: getattr(self, name) for name in names}
        return {**shared, "dtype": dtype, "data_format": data_format}


@dataclass(frozen=True, kw_only=True)
class ConvolutionalArchitecture(NormalizedArchitecture):
    """The options that all layers of a convolutional network share.

    The arguments below are those of every builder; `registry.builder` adds them to its docstring.

    Args:
        include_top: Whether to end with average pooling and a classifier. Defaults to `True`.
        weights: `None` for a random initialization, a path, a URL, or `"hf://owner/name"`.
        input_tensor: Optional Keras tensor to use as the input, computed from one `keras.Input` or
            several, which become the model's inputs.
        pooling: Global pooling if `include_top=False`: `None`, `"avg"` or `"max"`; the top always
            uses average pooling, as in keras.applications.
        classes: Positive integer, number of classes of the top.
        classifier_activation: Activation of the top; `None` for logits.
        name: Name of the model.
        normalization: `"batch"`, `"group"` (as many groups as the largest power of two up to 32
            that divides the channels), `"layer"` (over the channels of each position), `"evonorm"`
            (EvoNorm-S0, with `activation=None`), `"none"`, or `"folded"`: the form of `"batch"`
            after `export.fold`.
        activation: Keras activation. Defaults to `"relu"`.
        norm_momentum: Momentum of the batch normalization. Defaults to `0.9`.
        norm_epsilon: Epsilon of the normalization. Defaults to `1e-5`.
        kernel_initializer: Defaults to He normal by fan-out.
        kernel_regularizer: Optional regularizer of every kernel, the classifier's included.
        weight_standardization: Whether kernels are standardized, see `layers.Convolution`.
        rematerialize: Whether activations inside the blocks are recomputed in the backward pass.
        include_preprocessing: Whether the model takes images with values 0…255 and normalizes them
            as its weights expect. This follows from the published weights or from the layout of the
            file (Caffe's scaling for keras.applications' ResNet files); without weights, it is
            ImageNet's mean and standard deviation. Where it is not known, pass `"caffe"`, `"tf"`,
            `"torch"`, the name of published weights or a `weights.Preprocessing`. Defaults to
            `False`.
        dtype: Dtype policy of the model, such as `"mixed_bfloat16"`; the classifier of a mixed
            policy computes in float32.
        data_format: `"channels_last"` or `"channels_first"`.
        flat: Whether every convolution, normalization, activation and addition is a layer of the
            model, see `models.flat_view`. Defaults to `False`.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If an argument is out of range or unknown, or has no effect beside the others.
    """

    weight_standardization: bool = False
    rematerialize: bool = False

    def layer_options(self, dtype: Any, data_format: str) -> dict[str, object]:
        """Returns the arguments of a layer with convolutions."""
        return {
            "kernel_initializer": self.kernel_initializer,
            "kernel_regularizer": self.kernel_regularizer,
            "weight_standardization": self.weight_standardization,
            **self.norm_options(dtype, data_format),
        }


@dataclass(frozen=True, kw_only=True)
class ImageArchitecture(ConvolutionalArchitecture):
    """The options of a stem and of stages that reduce the resolution.

    A subclass adds the options of its stages and implements `body`.

    Args:
        input_shape: Optional shape without batch, one to three spatial sizes (or `None`) and the
            channels. Defaults to `(224, 224, 3)`, without sizes if `include_top=False`.
        stem: `"conv7"`, `"deep"`, `"tiered"`, `"conv3"`, `"strided3"`, `"pooled3"` or `"none"`, see
            `layers.Stem`.
        stem_width: Output channels of the stem. Defaults to `64`.
        stem_pool: The pooling of the stem: `True` for max pooling, `False`, `"blur"`, `"average"`
            or `"conv3"`, see `layers.Stem`. Defaults to `True`.
        pool_padding: `"minimum"` or `"zero"`, see `layers.Stem`; equal after a ReLU.
        space_to_depth: Whether the 7×7 convolution is computed over 2×2 blocks: the same function.
        dropout_rate: Dropout before the last convolution of each block.
        blur_pool: Whether max pooling and strided convolutions after the stem's downsample by a
            blur; `"average"`, `"average3"` or `"average3_before"`, see `layers.ConvNorm`, do not
            change the stem.
        output_stride: Largest reduction; later blocks are dilated instead of strided.
        features: `True` for a dict of the outputs of all stages, `"C2"` (strides 4 after a stem
            with pooling) and so on, in place of the top; or a tuple of some of these names and of
            `"C1"`, the stem's output before its pooling.
        **kwargs: Those of `ConvolutionalArchitecture`.
    """

    requirements: ClassVar[tuple[Requirement, ...]] = SHARED

    stem: str = "conv7"
    stem_width: int = 64
    stem_pool: bool | str = True
    pool_padding: str = "minimum"
    space_to_depth: bool = False
    dropout_rate: float = 0.0
    blur_pool: bool | str = False
    output_stride: int | None = None

    def stem_layers(self, preactivated: bool, shared: dict[str, Any], **options: Any) -> list[Any]:
        """Returns the stem and, if it has one, its pooling as a separate layer.

        The output between the two has strides 2. Errors use the option names of this class.
        """
        check_options(
            self.stem_width,
            self.stem,
            self.stem_pool,
            self.pool_padding,
            self.space_to_depth,
            names=("stem_width", "stem", "stem_pool"),
            kinds=KINDS,
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
        # The other kinds of downsampling apply to the stages only.
        blurred = _checks.choice("blur_pool", self.blur_pool, DOWNSAMPLING) is True
        return [stem, stem.make_pool("stem_pool", self.stem_pool, self.pool_padding, blurred)]

    def largest_stride(self, strides: int, stage_strides: tuple[int, ...]) -> int:
        """Returns the checked `output_stride`, or the product of all strides without one."""
        reachable = list(itertools.accumulate((strides, *stage_strides), lambda a, b: a * b))
        if self.output_stride is None:
            return reachable[-1]
        return _checks.choice("output_stride", self.output_stride, sorted(set(reachable)))
