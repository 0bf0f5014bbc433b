from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Shape, Tensor
from keras_residual.layers.average_pool import AveragePool
from keras_residual.layers.composite import BlockLayer, Plan, chain
from keras_residual.layers.conv_norm import ConvNorm
from keras_residual.layers.registration import registered
from keras_residual.layers.stem_pool import PADDINGS, StemPool
from keras_residual.layers.strides import Strides

KINDS = ("conv7", "deep", "tiered", "conv3", "strided3", "pooled3", "none")
POOLING = ("conv7", "deep", "tiered", "pooled3")
# The first convolutions of networks for clips, over (frames, height, width).
CLIP_KINDS = ("clip7", "frames7", "factorized7")
POOLS = (True, False, "blur", "average", "conv3")

_OVER_SPACE = {"kernel_size": (1, 7, 7), "strides": (1, 2, 2)}


def check_options(
    filters,
    kind,
    pool,
    pool_padding,
    space_to_depth,
    names=("filters", "kind", "pool"),
    kinds=(*KINDS, *CLIP_KINDS),
):
    """Raises a ValueError for a wrong option.

    Args:
        filters, kind, pool, pool_padding, space_to_depth: Arguments of `Stem`.
        names: The names of the first three in error messages.
        kinds: The accepted kinds.
    """
    filters_name, kind_name, pool_name = names
    _checks.choice(kind_name, kind, kinds)
    _checks.integer(filters_name, filters)
    _checks.choice(pool_name, pool, POOLS)
    _checks.choice("pool_padding", pool_padding, PADDINGS)
    _checks.boolean("space_to_depth", space_to_depth)
    received = {kind_name: kind}
    needs = f'{kind_name}="conv7"'
    _checks.effective("space_to_depth", space_to_depth, False, kind == "conv7", needs, **received)
    pools = pool in (True, "blur") and kind in POOLING
    received[pool_name] = pool
    known = kind in POOLING or isinstance(pool, bool)
    _checks.effective(pool_name, pool, True, known, "a stem with pooling", **{kind_name: kind})
    _checks.effective("pool_padding", pool_padding, "minimum", pools, "max pooling", **received)


@registered
class Stem(BlockLayer):
    """The first layers of a residual network.

    - `"conv7"`: 7×7 convolution with strides 2, normalization, activation, 3×3 max pooling with
      strides 2 (ImageNet).
    - `"deep"`: three 3×3 convolutions, the first with strides 2 and the first two of half the
      width, then the same max pooling (ResNet-D).
    - `"tiered"`: the same with 3/8 and 1/2 of the width (the T networks of timm).
    - `"conv3"`: one 3×3 convolution, no pooling (small images).
    - `"strided3"`: one 3×3 convolution with strides 2, no pooling (RegNet).
    - `"pooled3"`: the same followed by max pooling (DPN-68).
    - `"none"`: the input as it is (time series).
    - `"clip7"`: one 3×7×7 convolution over frames, height and width with strides (1, 2, 2), no
      pooling (networks for clips).
    - `"frames7"`: the same without time, 1×7×7.
    - `"factorized7"`: 1×7×7 with these strides, then 3×1×1; 45/64 of the width between them.

    Args:
        filters: Positive integer, number of output channels. Defaults to `64`.
        kind: One of the above. Defaults to `"conv7"`.
        pool: The pooling of `"conv7"`, `"deep"`, `"tiered"` and `"pooled3"`: `True`, max pooling;
            `False`, none; `"blur"`, max pooling downsampled by a blur; `"average"`, 2×2 average
            pooling; or `"conv3"`, a 3×3 convolution with strides 2, normalization and activation
            (ResNet-RS). Defaults to `True`.
        pool_padding: `"minimum"`, the pooling ignores the border (PyTorch), or `"zero"`, it pads
            with zeros (keras.applications); equal after a ReLU. Defaults to `"minimum"`.
        preactivated: Whether the last convolution has no normalization and activation, because a
            pre-activation network follows. Defaults to `False`.
        space_to_depth: Whether the 7×7 convolution is computed as a 4×4 one over 2×2 blocks folded
            into channels: the same function with the same stored 7×7 kernel, 5 % faster to train on
            a GPU. Defaults to `False`.
        blur_pool: Whether the max pooling downsamples by a blur. Defaults to `False`.
        conv_bias: Whether a last convolution without normalization has a bias. Defaults to
            `False`.
        **kwargs: Those of `BlockLayer`.

    Returns:
        `(batch, *ceil(spatial / strides), filters)`; strides 4, 2 without pooling and for
        `"strided3"`, 1 for `"conv3"` and `"none"`, (1, 2, 2) for the last three kinds.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> keras.ops.shape(Stem(16)(keras.ops.ones((1, 33, 32, 3))))
    (1, 9, 8, 16)

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385)
        - [He et al., 2018](https://arxiv.org/abs/1812.01187), `"deep"`
        - [Tran et al., 2018](https://arxiv.org/abs/1711.11248), `"factorized7"`
    """

    def __init__(
        self,
        filters: int = 64,
        kind: str = "conv7",
        pool: bool = True,
        pool_padding: str = "minimum",
        preactivated: bool = False,
        space_to_depth: bool = False,
        blur_pool: bool = False,
        conv_bias: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_options(filters, kind, pool, pool_padding, space_to_depth)
        self.filters, self.kind, self.pool = int(filters), kind, pool
        self.pool_padding, self.space_to_depth = pool_padding, space_to_depth
        self.preactivated = _checks.boolean("preactivated", preactivated)
        self.blur_pool = _checks.boolean("blur_pool", blur_pool)
        self.conv_bias = _checks.boolean("conv_bias", conv_bias)
        _checks.effective(
            "conv_bias",
            self.conv_bias,
            False,
            self.preactivated,
            "preactivated=True",
            preactivated=self.preactivated,
        )
        self._make_sublayers()

    def _make_sublayers(self):
        half = max(1, self.filters // 2)
        first = half if self.kind == "deep" else max(1, 3 * (half // 4))
        deep = [
            {"filters": first, "kernel_size": 3, "strides": 2},
            {"filters": half, "kernel_size": 3},
            {"filters": self.filters, "kernel_size": 3},
        ]
        specifications = {
            "conv7": [{"filters": self.filters, "kernel_size": 7, "strides": 2}],
            "deep": deep,
            "tiered": deep,
            "strided3": [{"filters": self.filters, "kernel_size": 3, "strides": 2}],
            "pooled3": [{"filters": self.filters, "kernel_size": 3, "strides": 2}],
            "conv3": [{"filters": self.filters, "kernel_size": 3}],
            "none": [],
            "clip7": [{**_OVER_SPACE, "filters": self.filters, "kernel_size": (3, 7, 7)}],
            "frames7": [{**_OVER_SPACE, "filters": self.filters}],
            "factorized7": [
                {**_OVER_SPACE, "filters": max(1, 45 * self.filters // 64)},
                {"filters": self.filters, "kernel_size": (3, 1, 1)},
            ],
        }[self.kind]
        last = len(specifications) - 1
        self._convs = tuple(f"conv{index + 1}" for index in range(len(specifications)))
        for index, (name, arguments) in enumerate(zip(self._convs, specifications, strict=True)):
            bare = self.preactivated and index == last
            setattr(self, name, self._make_convolution(index, name, arguments, bare))
        self.max_pool = self.average = self.pool_conv = None
        if self.max_pools:
            self.max_pool = self.make_pool("pool", self.pool, self.pool_padding, self.blur_pool)
        elif self.pools and self.pool == "average":
            self.average = self.make_pool("average", self.pool)
        elif self.pools:
            self.pool_conv = self.make_pool("pool_conv", self.pool)

    def _make_convolution(self, index, name, arguments, bare):
        options = {**self.block_options(index), **arguments}
        options["use_bias"] = self.normalization == "none" or (bare and self.conv_bias)
        options["space_to_depth"] = self.space_to_depth and name in self._convs
        if bare:
            options.update(normalization="none", activation=None)
        return ConvNorm(name=name, **options)

    def make_pool(
        self, name: str, pool: bool | str, padding: str = "minimum", blur_pool: bool = False
    ) -> keras.layers.Layer | None:
        """Returns the layer that downsamples after the stem's convolutions, see `pool`."""
        if pool == "average":
            return AveragePool(2, name=name, **self.sublayer_options())
        if pool == "conv3":
            arguments = {"filters": self.filters, "kernel_size": 3, "strides": 2}
            return self._make_convolution(len(self._convs), name, arguments, False)
        relu = self.activation is keras.activations.relu and not self.preactivated
        blurred = blur_pool or pool == "blur"
        return StemPool(padding, relu, blurred, name=name, **self.sublayer_options())

    @property
    def pools(self) -> bool:
        """Whether the stem downsamples twice."""
        return self.pool is not False and self.kind in POOLING

    @property
    def max_pools(self) -> bool:
        return self.pools and self.pool in (True, "blur")

    @property
    def total_strides(self) -> Strides:
        """The factor by which the stem reduces the spatial sizes."""
        if self.kind in CLIP_KINDS:
            return _OVER_SPACE["strides"]
        if self.kind in ("conv3", "none"):
            return 1
        return 4 if self.pools else 2

    def plan(self, input_shape: Shape) -> Plan:
        convs = [getattr(self, name) for name in self._convs]
        return chain([*convs, self.max_pool, self.average, self.pool_conv], input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = inputs
        for name in self._convs:
            x = getattr(self, name)(x, training=training)
        if self.pool_conv is not None:
            return self.pool_conv(x, training=training)
        pool = self.max_pool or self.average
        return x if pool is None else pool(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kind": self.kind,
            "pool": self.pool,
            "pool_padding": self.pool_padding,
            "preactivated": self.preactivated,
            "space_to_depth": self.space_to_depth,
            "blur_pool": self.blur_pool,
            "conv_bias": self.conv_bias,
        }
