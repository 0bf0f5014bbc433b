from collections.abc import Mapping
from typing import Any

from keras_residual.models.densenet import DenseNetArchitecture
from keras_residual.tuning.knobs import Knob
from keras_residual.tuning.named import NamedHyperNetwork, multiples


class HyperDenseNet(NamedHyperNetwork):
    """A space of densely connected networks for images, around a published one.

    Its default is the network `base` with the recipe `recipe`. Knobs are fixed, narrowed and left
    out as in `HyperResNet`.

    Knobs of the network: `stages`; `depth1` … of each dense block (`depth` sets all);
    `growth_rate`; `bottleneck`; `compression`; `stem`; `stem_width`; `dropout_rate`; any other
    option of `DenseNet` with plain values by naming it. Knobs of training: as in `HyperResNet`.

    Args:
        input_shape: `(height, width, channels)`.
        base: Name of the network to start from, one of the DenseNet family. Defaults to
            `"DenseNetBC100_12"`.
        **knobs: Those of `SearchSpace`.

    Example:

    >>> space = HyperDenseNet((8, 8, 1), 10, max_macs=2_000_000, depth=[2, 4], growth_rate=[4, 8])
    """

    family = DenseNetArchitecture
    default_base = "DenseNetBC100_12"
    sizes = ("stages", "depth", "growth_rate", "compression", "stem_width")
    widths = ("growth_rate", "stem_width")

    def architecture(self, base: DenseNetArchitecture) -> list[Knob]:
        first = len(base.depths)
        stages = tuple(sorted({2, 3, 4, first}))
        return [
            Knob("stages", stages, first),
            *self.stage_knobs("depth", stages, base.depths, (2, 4, 6, 8, 12, 16, 24)),
            Knob("growth_rate", multiples(base.growth_rate), base.growth_rate),
            self.choice("bottleneck", base.bottleneck, 0, 2, 4),
            self.choice("compression", base.compression, 0.5, 0.75, 1.0),
            self.choice("stem", base.stem, "conv3", "conv7", "deep"),
            Knob("stem_width", multiples(base.stem_width), base.stem_width),
            self.choice("dropout_rate", base.dropout_rate, 0.0, 0.1, 0.2),
        ]

    def options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.chosen_options(values), "depths": self.of_stages("depth", values)}

    def strides(self, options: dict[str, Any]) -> int:
        return super().strides(options) * 2 ** (len(options["depths"]) - 1)

    def convolutions(self, options: dict[str, Any]) -> int:
        unit = 2 if options["bottleneck"] else 1
        transitions = len(options["depths"]) - 1
        return super().convolutions(options) + unit * sum(options["depths"]) + transitions

    def in_words(self, options: dict[str, Any]) -> str:
        depths = "-".join(map(str, options["depths"]))
        return f"{depths} growth {options['growth_rate']} {options['stem']}"
