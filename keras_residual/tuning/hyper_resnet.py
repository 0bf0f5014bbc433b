import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from keras_residual import _checks
from keras_residual.layers.bottleneck_block import EXPANSION
from keras_residual.layers.stem import POOLING
from keras_residual.models.resnet_architecture import OF_BOTTLENECKS, ResNetArchitecture
from keras_residual.training import Recipe
from keras_residual.tuning.knobs import Knob
from keras_residual.tuning.named import (
    NamedHyperNetwork,
    block_convolutions,
    multiples,
    resnet_in_words,
)

_MOST_STAGES = 4
_BASE_WIDTHS = (4, 8, 16, 32, 64, 128)


class HyperResNet(NamedHyperNetwork):
    """A space of residual networks for images, around a published one.

    Its default is the network `base` with the recipe `recipe`. A knob is fixed by a value, narrowed
    by a list of values or a `tuning.Interval`, and left out by `None`, which leaves what `base` and
    `recipe` have: `HyperResNet(…, block="bottleneck", cardinality=[1, 4, 8], se_ratio=None)`.

    Knobs of the network: `stages`; `depth1` … and `width1` … of each stage (`depth` and `width`
    speak of all stages); `block`; `cardinality` and `base_width` of bottlenecks; `shortcut`;
    `se_ratio`; `stem`; `stem_width`; `activation_order`; `drop_path_rate`. Any other option of
    `ResNet` with plain values becomes one by naming it: `activation=["relu", "silu"]`.

    Knobs of training: `optimizer`; `sgd_learning_rate`, `sgd_weight_decay`, `adamw_learning_rate`,
    `adamw_weight_decay`; `schedule`; `warmup`; `batch_size`; `label_smoothing`; `augmentation` and,
    with any, `cutmix`.

    Args:
        input_shape: `(height, width, channels)`.
        base: Name of the network to start from, any of the ResNet family that `list_models()`
            gives, except PyramidNets, which have no stages. Defaults to `"ResNet20"`.
        constant_macs: Whether `base_width` is no knob but follows from `cardinality`, so that the
            multiply–accumulates stay as near as they can to those of cardinality 1 and the base
            width of `base` (ResNeXt's table 2).
        **knobs: Those of `SearchSpace`.

    Example:

    >>> space = HyperResNet((8, 8, 1), 10, max_parameters=20_000, block="basic")
    >>> import keras_tuner
    >>> space.build(keras_tuner.HyperParameters()).name  # doctest: +SKIP
    'resnet20'
    """

    family = ResNetArchitecture
    default_base = "ResNet20"
    quick_to_count: ClassVar[dict[str, Any]] = {"execution": "scanned"}
    sizes = (
        "stages",
        "depth",
        "width",
        "stem_width",
        "se_ratio",
        "cardinality",
    )
    widths = ("width", "stem_width")
    interdependent = (
        "block",
        "shortcut",
        "se_ratio",
        "stem",
        "activation_order",
        "drop_path_rate",
    )

    def __init__(
        self,
        input_shape: Sequence[int],
        classes: int,
        base: str | None = None,
        recipe: Recipe | str = "quick",
        *,
        constant_macs: bool = False,
        **knobs: Any,
    ):
        self.constant_macs = _checks.boolean("constant_macs", constant_macs)
        super().__init__(input_shape, classes, base, recipe, **knobs)

    def _is_of_family(self, variant):
        # Every block of a PyramidNet is a stage, wider than the one before.
        return super()._is_of_family(variant) and len(variant.architecture.depths) <= _MOST_STAGES

    def architecture(self, base: ResNetArchitecture) -> list[Knob]:
        first = len(base.depths)
        stages = tuple(sorted({2, 3, _MOST_STAGES, first}))
        knobs = [Knob("stages", stages, first)]
        knobs += self.stage_knobs("depth", stages, base.depths, (1, 2, 3, 4, 6))
        knobs += self.stage_knobs("width", stages, base.widths)
        knobs += self.block_knobs(base)
        knobs += [
            self.choice("shortcut", base.shortcut, "projection", "pad", "pooled"),
            self.choice("se_ratio", base.se_ratio, 0.0, 1 / 16, 1 / 8, 1 / 4),
            self.choice("stem", base.stem, "conv3", "conv7", "deep"),
            Knob("stem_width", multiples(base.stem_width), base.stem_width),
            self.choice("activation_order", base.activation_order, "post", "pre"),
            self.choice("drop_path_rate", base.drop_path_rate, 0.0, 0.1, 0.2),
        ]
        return knobs

    def block_knobs(self, base: ResNetArchitecture) -> list[Knob]:
        """Returns the knobs of the block and of its groups."""
        groups = (1, 2, 4, 8, 16, 32)
        of_bottleneck = {"parent": "block", "parent_values": ("bottleneck",)}
        knobs = [
            self.choice("block", base.block, "basic", "bottleneck"),
        ]
        if base.group_width is not None:
            return knobs
        knobs.append(self.choice("cardinality", base.cardinality, *groups, **of_bottleneck))
        if not self.constant_macs:
            knobs.append(self.choice("base_width", base.base_width, *_BASE_WIDTHS, **of_bottleneck))
        return knobs

    def options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        options = self.chosen_options(values)
        options["depths"] = self.of_stages("depth", values)
        options["widths"] = self.of_stages("width", values)
        if self.base.stage_strides is not None:
            own, count = self.base.stage_strides, values["stages"]
            options["stage_strides"] = (*own[:count], *[2] * (count - len(own)))
        options |= self._without_effect(options)
        if options["block"] == "basic":
            return options
        if self.constant_macs:
            options["base_width"] = self.base_width_of_equal_macs(options)
        if group := options.get("group_width", self.base.group_width):
            # As in RegNets, widths are whole groups.
            widths = (group * max(1, round(width / group)) for width in options["widths"])
            options["widths"] = tuple(widths)
        return options

    def _without_effect(self, options):
        """Returns the defaults of what another block or stem leaves without an effect."""
        names = []
        if options["stem"] not in POOLING:
            names.append("pool_padding")
        if options["block"] == "basic":
            names += OF_BOTTLENECKS
        else:
            names.append("kernel_sizes")
        own = {name: options.get(name, getattr(self.base, name)) for name in names}
        defaults = {name: getattr(ResNetArchitecture, name) for name in names}
        always = ("cardinality", "base_width", "strided_conv")
        return {n: value for n, value in defaults.items() if value != own[n] or n in always}

    def base_width_of_equal_macs(self, options: dict[str, Any]) -> int:
        """Returns the base width with which a cardinality costs most nearly what one group does.

        Xie et al., 2017, section 3.3, over all stages, whose positions shrink by four.
        """
        own = self.base.base_width if self.base.block == "bottleneck" else 64
        stages = list(zip(options["depths"], options["widths"], strict=True))

        def macs(cardinality, base_width):
            return sum(
                depth * _bottleneck_macs(width, cardinality, base_width) / 4**stage
                for stage, (depth, width) in enumerate(stages)
            )

        wanted = macs(1, own)
        smallest = math.ceil(64 / min(options["widths"]))
        candidates = range(min(smallest, own), own + 1)
        return min(candidates, key=lambda d: abs(macs(options["cardinality"], d) - wanted))

    def strides(self, options: dict[str, Any]) -> int:
        stages = [2] * (len(options["depths"]) - 1)
        return super().strides(options) * math.prod(options.get("stage_strides", stages))

    def convolutions(self, options: dict[str, Any]) -> int:
        return super().convolutions(options) + block_convolutions(options)

    def in_words(self, options: dict[str, Any]) -> str:
        return resnet_in_words(options)


def _bottleneck_macs(width, cardinality, base_width):
    """Multiply–accumulates of a block at one position."""
    inner = width * base_width // 64 * cardinality
    return 2 * EXPANSION * width * inner + 9 * inner**2 / cardinality
