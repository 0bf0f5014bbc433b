from collections.abc import Mapping
from typing import Any, ClassVar

from keras_residual import _checks
from keras_residual.models.regnet import PARAMETERS, regnet
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.tuning.knobs import Knob
from keras_residual.tuning.named import (
    NamedHyperNetwork,
    block_convolutions,
    multiples,
    resnet_in_words,
)

# The width inside a block's squeeze-and-excitation follows from `se_ratio`; 0 leaves it out.
_ATTENTION = {False: "squeeze_excite", True: "inner_squeeze_excite"}


class HyperRegNet(NamedHyperNetwork):
    """A space of RegNets, whose stages follow from four numbers, around a published one.

    Its default is the network `base` with the recipe `recipe`. Knobs are fixed, narrowed and left
    out as in `HyperResNet`.

    Knobs of the network: `depth`, the number of blocks; `w0`, the width of the first; `wa`, by how
    much the next are wider; `wm`, the ratio of the widths of neighbouring stages; `group_width`;
    `se_ratio`; `stem`; `stem_width`; any other option of `ResNet` with plain values by naming it.
    Knobs of training: as in `HyperResNet`.

    Args:
        input_shape: `(height, width, channels)`.
        base: Name of the network to start from, a RegNetX, Y, V or Z. Defaults to `"RegNetX002"`.
        **knobs: Those of `SearchSpace`.

    Example:

    >>> space = HyperRegNet((64, 64, 3), 10, max_macs=20_000_000, depth=[4, 8], group_width=[4, 8])

    Reference:
        - [Radosavovic et al., 2020](https://arxiv.org/abs/2003.13678)
    """

    family = ResNetArchitecture
    default_base = "RegNetX002"
    quick_to_count: ClassVar[dict[str, Any]] = {"execution": "scanned"}
    sizes = ("depth", "w0", "wa", "se_ratio", "stem_width")
    widths = ("w0", "wa", "stem_width")
    interdependent = ("se_ratio", "stem", "drop_path_rate")

    def _is_of_family(self, variant):
        return variant.name in PARAMETERS

    def architecture(self, base: ResNetArchitecture) -> list[Knob]:
        own = PARAMETERS[self.base_name]
        self.further_parameters = {
            name: own[name] for name in ("ratio", "rounded_down") if name in own
        }
        return [
            self.choice("depth", own["depth"], 4, 6, 8, 10, 13, 16, 20),
            self.choice("w0", own["w0"], 8, 16, 24, 32, 48, 64, 96),
            self.choice("wa", own["wa"], 8.0, 16.0, 24.0, 32.0, 48.0),
            self.choice("wm", own["wm"], 1.5, 2.0, 2.5, 3.0),
            self.choice("group_width", own["group_width"], 4, 8, 16, 24),
            self.choice("se_ratio", base.se_ratio, 0.0, 1 / 4),
            self.choice("stem", base.stem, "conv3", "strided3"),
            Knob("stem_width", multiples(base.stem_width), base.stem_width),
            self.choice("drop_path_rate", base.drop_path_rate, 0.0, 0.1, 0.2),
        ]

    def options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        parameters = {name: values[name] for name in ("depth", "w0", "wa", "wm", "group_width")}
        made = regnet(**parameters, **self.further_parameters)
        stages = {name: made[name] for name in ("depths", "widths", "stage_strides")}
        chosen = self.chosen_options(values)
        # The published networks' own, which has an effect with squeeze-and-excitation only.
        chosen["attention"] = _ATTENTION[values["se_ratio"] > 0]
        return {**chosen, **stages}

    def strides(self, options: dict[str, Any]) -> int:
        stem = 1 if options["stem"] == "conv3" else 2
        return stem * 2 ** len(options["depths"])

    def convolutions(self, options: dict[str, Any]) -> int:
        return super().convolutions(options) + block_convolutions(
            {**options, "block": "bottleneck"}
        )

    def in_words(self, options: dict[str, Any]) -> str:
        words = resnet_in_words({**options, "block": "bottleneck"})
        return f"{words}, groups of {_checks.integer('group_width', options['group_width'])}"
