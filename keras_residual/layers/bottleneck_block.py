from typing import Any

from keras_residual import _checks
from keras_residual._words import counted
from keras_residual.layers.registration import registered
from keras_residual.layers.residual_unit import ResidualUnit

EXPANSION = 4.0


@registered
class BottleneckBlock(ResidualUnit):
    """The bottleneck block: y = act(F(x) + shortcut(x)), F being 1×1, 3×3 and 1×1 convolutions.

    F narrows to `width = floor(filters / expansion · base_width / 64) · cardinality` channels,
    convolves them 3×3 in `cardinality` groups, and widens to `filters`. Cardinality 32 with base
    width 4 is ResNeXt; base width 128 is Wide ResNet-50-2. Order of operations and shortcut are
    those of `ResidualBlock`.

    Args:
        filters: Positive integer, number of output channels (four times the paper's width).
        cardinality: Positive integer, groups of the 3×3 convolution. Defaults to `1`.
        base_width: Positive integer, width of a group where `filters` is 256. Defaults to `64`.
        expansion: Positive number, `filters` divided by the width inside: 4 in ResNet, 1 in
            RegNetX and Y, 1/4 in RegNetZ. Defaults to `4`.
        group_width: Positive integer, channels of a group in place of `cardinality`; a narrower
            block has one group. Defaults to `None`.
        first_reduction: Positive integer by which the first convolution is narrower than the
            second (2 in SENet-154). Defaults to `1`.
        strides: Positive integer. Defaults to `1`.
        strided_conv: `"conv2"`, the 3×3 convolution takes the strides (v1.5), or `"conv1"`, the
            first 1×1 (v1, keras.applications). Defaults to `"conv2"`.
        dilation_rate: Positive integer, dilation of the 3×3 convolution. Defaults to `1`.
        first_dilation_rate: Dilation of a 3×3 convolution that would take the strides, where it
            differs. Defaults to `None`.
        spatial: What the 3×3 convolution is: `"plain"`; `"selective"`, a `SelectiveKernel`, or
            `"selective_split"`, the same with its input split over the branches (`se_ratio` and
            `se_divisor` are then those of its selection); `"split"`, a `SplitAttention`; or
            `"multi_scale"`, a `MultiScaleConvolution`. Defaults to `"plain"`.
        **kwargs: Those of `ResidualUnit`.

    Raises:
        ValueError: If an argument is out of range, the width is not a whole number of groups, or
            `shortcut="pad"` would shrink the channels.

    Example:

    >>> block = BottleneckBlock(256, cardinality=32, base_width=4, strides=2)
    >>> keras.ops.shape(block(keras.ops.ones((1, 8, 8, 64))))
    (1, 4, 4, 256)

    Reference:
        - [He et al., 2015](https://arxiv.org/abs/1512.03385); stride placement deviates, see
          `strided_conv`
        - [Xie et al., 2017](https://arxiv.org/abs/1611.05431), `cardinality`
        - [Zagoruyko and Komodakis, 2016](https://arxiv.org/abs/1605.07146), `base_width`
    """

    def __init__(
        self,
        filters: int,
        cardinality: int = 1,
        base_width: int = 64,
        strided_conv: str = "conv2",
        expansion: float = EXPANSION,
        group_width: int | None = None,
        first_reduction: int = 1,
        **kwargs: Any,
    ):
        super().__init__(filters, **kwargs)
        self.cardinality = _checks.integer("cardinality", cardinality)
        self.base_width = _checks.integer("base_width", base_width)
        self.strided_conv = _checks.choice("strided_conv", strided_conv, ("conv1", "conv2"))
        self.expansion = _checks.real("expansion", expansion, 0.0, 64.0, open_start=True)
        self.group_width = group_width
        if group_width is not None:
            self.group_width = _checks.integer("group_width", group_width)
            _checks.effective(
                "cardinality", cardinality, 1, False, "group_width=None", group_width=group_width
            )
        self.first_reduction = _checks.integer("first_reduction", first_reduction)
        self.width, self.groups = self._width()
        self._make_sublayers()

    def _width(self) -> tuple[int, int]:
        """Returns the channels of the 3×3 convolution and its groups."""
        inner = self.filters / self.expansion
        if inner != int(inner):
            raise ValueError(
                "`filters` of a bottleneck must be divisible by `expansion`. "
                f"Received: filters={self.filters}, expansion={self.expansion:g}"
            )
        group = int(inner) * self.base_width // 64
        if group == 0:
            raise ValueError(
                f"`base_width` is too small: filters / {self.expansion:g} · base_width / 64 must "
                f"be at least 1. Received: base_width={self.base_width}, filters={self.filters}"
            )
        width = group * self.cardinality
        if self.group_width is None:
            return width, self.cardinality
        groups, rest = divmod(width, min(self.group_width, width))
        if rest:
            raise ValueError(
                f"`group_width` must divide the {counted(width, 'channel')} inside the block. "
                f"Received: group_width={self.group_width}"
            )
        return width, groups

    def convolutions(self) -> list[dict[str, Any]]:
        # In a multi-scale convolution each scale has this width.
        width = self.width * (self.branch_count if self.spatial == "multi_scale" else 1)
        if width % self.first_reduction:
            raise ValueError(
                f"`first_reduction` must divide the {counted(width, 'channel')} inside the block. "
                f"Received: first_reduction={self.first_reduction}"
            )
        arguments = [
            {"filters": width // self.first_reduction, "kernel_size": 1},
            {
                "filters": width,
                "kernel_size": 3,
                "dilation_rate": self.dilation_rate,
                "groups": self.groups,
                "spatial": True,
            },
            {"filters": self.filters, "kernel_size": 1},
        ]
        if self.strided_conv == "conv1":
            arguments[0]["strides"] = self.strides
        else:
            arguments[1].update(self.strided_options())
        return arguments

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cardinality": self.cardinality,
            "base_width": self.base_width,
            "strided_conv": self.strided_conv,
            "expansion": self.expansion,
            "group_width": self.group_width,
            "first_reduction": self.first_reduction,
        }
