from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual._words import counted
from keras_residual.layers._convolution import forms
from keras_residual.layers.composite import (
    SpatialLayer,
    checked_initializer,
    checked_regularizer,
    fresh_initializer,
)
from keras_residual.layers.registration import registered


@registered
class Convolution(SpatialLayer):
    """Convolution over one, two or three spatial axes, padded symmetrically, with groups.

    The rank follows from the input. `k // 2` zeros are padded on both sides, as in the papers' code
    and PyTorch, so that sizes become `ceil(n / strides)` on the same grid as theirs; an even kernel
    gets its extra zero at the end. Grouped convolutions use the fastest implementation of the
    backend: with Keras' own a training step takes seconds on a CPU. Over three spatial axes,
    kernels of size `(1, h, w)` or `(t, 1, 1)` are computed as 2-D convolutions, which are fast on
    phones and CPUs. `channels_first` inputs are transposed to `channels_last` where the backend has
    no CPU kernels for them (TensorFlow, JAX).

    Args:
        filters: Positive integer, number of output channels.
        kernel_size: Positive integer, or a tuple with one for each spatial axis.
        strides: Positive integer, or a tuple with one for each spatial axis. Defaults to `1`.
        dilation_rate: Positive integer. Defaults to `1`.
        groups: Positive integer that divides `filters` and the input channels. Defaults to `1`.
        use_bias: Whether to add a bias. Defaults to `False`.
        space_to_depth: Whether a stride-2 convolution is computed over 2×2 blocks folded into
            channels. The function and the stored kernel stay the same.
        kernel_initializer: Defaults to He normal by fan-out.
        kernel_regularizer: Optional regularizer of the kernel.
        bias_initializer: Initializer of the bias. Defaults to `"zeros"`.
        weight_standardization: Whether the kernel of each filter is standardized, to mean 0 and
            variance 1, before it is applied. Defaults to `False`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for the Keras default.
        lora_rank: Rank of a trainable update of the frozen kernel, see `enable_lora`. Defaults
            to `None`, no update.
        lora_alpha: The update is scaled by `lora_alpha / lora_rank`. Defaults to `lora_rank`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point.
        training: Whether a gradient will follow, which some forms compute faster; the results are
            the same.

    Returns:
        `(batch, *ceil(spatial / strides), filters)`.

    Raises:
        ValueError: If an argument is out of range, or `groups` does not divide the channels.

    Reference:
        - [Qiao et al., 2019](https://arxiv.org/abs/1903.10520), `weight_standardization`

    Example:

    >>> keras.ops.shape(Convolution(8, 3, strides=2, groups=4)(keras.ops.ones((1, 7, 7, 4))))
    (1, 4, 4, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...] = 3,
        strides: int | tuple[int, ...] = 1,
        dilation_rate: int = 1,
        groups: int = 1,
        use_bias: bool = False,
        space_to_depth: bool = False,
        kernel_initializer: Identifier | None = None,
        kernel_regularizer: Identifier | None = None,
        weight_standardization: bool = False,
        data_format: str | None = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        bias_initializer: Identifier = "zeros",
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.weight_standardization = _checks.boolean(
            "weight_standardization", weight_standardization
        )
        self.lora_rank = None if lora_rank is None else _checks.integer("lora_rank", lora_rank)
        if lora_alpha is not None:
            lora_alpha = _checks.real("lora_alpha", lora_alpha, 0, float("inf"))
        needs = "`lora_rank`"
        _checks.effective(
            "lora_alpha", lora_alpha, None, bool(lora_rank), needs, lora_rank=lora_rank
        )
        self.lora_alpha = lora_rank if lora_alpha is None else lora_alpha
        self.lora_enabled = False
        self.filters = _checks.integer("filters", filters)
        self.kernel_size = _checks.per_axis("kernel_size", kernel_size)
        self.strides = _checks.per_axis("strides", strides)
        self.dilation_rate = _checks.integer("dilation_rate", dilation_rate)
        self.groups = _checks.integer("groups", groups)
        self.use_bias = _checks.boolean("use_bias", use_bias)
        self.space_to_depth = _checks.boolean("space_to_depth", space_to_depth)
        self.kernel_initializer = checked_initializer(kernel_initializer)
        self.kernel_regularizer = checked_regularizer(kernel_regularizer)
        bias = "zeros" if bias_initializer is None else bias_initializer
        self.bias_initializer = checked_initializer(bias, "bias_initializer")
        self._check_combinations()

    def _check_combinations(self):
        if self.filters % self.groups:
            raise ValueError(
                "`groups` must divide `filters`. "
                f"Received: groups={self.groups}, filters={self.filters}"
            )
        plain = self.groups == self.dilation_rate == 1
        if self.space_to_depth and (self.strides != 2 or not plain):
            raise ValueError(
                "`space_to_depth` needs strides=2, groups=1 and dilation_rate=1. Received: "
                f"strides={self.strides}, groups={self.groups}, dilation_rate={self.dilation_rate}"
            )

    def kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        """Returns the kernel's shape `(*kernel_size, channels / groups, filters)`."""
        channels = self.channels_of(input_shape)
        rank = len(input_shape) - 2
        size = self.kernel_size
        size = (size,) * rank if isinstance(size, int) else size
        if len(size) != rank:
            raise ValueError(
                f"`kernel_size` must have one entry for each of the {rank} spatial axes. "
                f"Received: kernel_size={size}, input_shape={input_shape}"
            )
        if channels % self.groups:
            raise ValueError(
                f"`groups` must divide the input's {counted(channels, 'channel')}. "
                f"Received: groups={self.groups}"
            )
        return (*size, channels // self.groups, self.filters)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.kernel_shape(input_shape)
        spatial = self.strided(input_shape, self.strides)
        return self.shape_with(input_shape, spatial=spatial, channels=self.filters)

    def build(self, input_shape: Shape) -> None:
        self.strided(input_shape, self.strides)
        self._kernel = self.add_weight(
            name="kernel",
            shape=self.kernel_shape(input_shape),
            initializer=fresh_initializer(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer=self.bias_initializer
            )
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    @property
    def kernel(self) -> Tensor:
        """The kernel, with the LoRA update if there is one."""
        if not self.lora_enabled:
            return self._kernel
        update = ops.matmul(self.lora_kernel_a, self.lora_kernel_b)
        return self._kernel + self.lora_alpha / self.lora_rank * update

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Identifier = "he_uniform",
        b_initializer: Identifier = "zeros",
    ) -> None:
        """Freezes the kernel and adds a trainable low-rank update, as in Keras' `Conv2D`.

        kernel + lora_alpha / rank · A B, A of shape `(*kernel_size, channels / groups, rank)`, B of
        shape `(rank, filters)`. `export.fold` merges it.

        Args:
            rank: Positive integer.
            lora_alpha: Number. Defaults to `rank`.
            a_initializer: Initializer of A.
            b_initializer: Initializer of B.

        Raises:
            ValueError: If the layer is not built, LoRA is enabled already, or `rank` is no positive
                integer.

        Reference:
            - [Hu et al., 2021](https://arxiv.org/abs/2106.09685)
        """
        rank = _checks.integer("rank", rank)
        if not self.built or self.lora_enabled:
            state = "is enabled already" if self.lora_enabled else "needs a built layer"
            raise ValueError(f"LoRA {state}. Received: `enable_lora` of {self.name!r}")
        self._tracker.unlock()
        options = {"dtype": "float32", "regularizer": self.kernel_regularizer}
        self.lora_kernel_a = self.add_weight(
            name="lora_kernel_a",
            shape=(*self._kernel.shape[:-1], rank),
            initializer=keras.initializers.get(a_initializer),
            **options,
        )
        self.lora_kernel_b = self.add_weight(
            name="lora_kernel_b",
            shape=(rank, self.filters),
            initializer=keras.initializers.get(b_initializer),
            **options,
        )
        self._kernel.trainable = False
        self._tracker.lock()
        self.lora_enabled, self.lora_rank = True, rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        kernel = ops.cast(ops.convert_to_tensor(self.kernel), inputs.dtype)
        if self.weight_standardization:
            kernel = standardized(kernel)
        return self.convolution_op(inputs, kernel, training=bool(training))

    def convolution_op(self, inputs: Tensor, kernel: Tensor, training: bool = False) -> Tensor:
        """Returns the convolution with a given kernel of the same shape, plus the bias."""
        x = ops.moveaxis(inputs, 1, -1) if self.channels_first else inputs
        if self.space_to_depth:
            x = forms.convolve_space_to_depth(x, kernel)
        else:
            x = forms.convolve(x, kernel, self.strides, self.dilation_rate, self.groups, training)
        if self.use_bias:
            x = ops.add(x, self.bias)
        return ops.moveaxis(x, -1, 1) if self.channels_first else x

    def get_config(self) -> dict[str, Any]:
        lora = {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}
        return {
            **super().get_config(),
            **(lora if self.lora_rank else {}),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "use_bias": self.use_bias,
            "space_to_depth": self.space_to_depth,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "weight_standardization": self.weight_standardization,
        }


def standardized(kernel):
    """Returns a kernel with mean 0 and variance 1 over the weights of each filter.

    Reference:
        - [Qiao et al., 2019](https://arxiv.org/abs/1903.10520)
    """
    axes = tuple(range(len(kernel.shape) - 1))
    values = ops.cast(kernel, "float64" if kernel.dtype == "float64" else "float32")
    mean, variance = ops.moments(values, axes, keepdims=True)
    # The epsilon of the published networks, Big Transfer's.
    return ops.cast((values - mean) * ops.rsqrt(variance + 1e-8), kernel.dtype)
