import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from keras_residual import _checks
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.training import Recipe
from keras_residual.tuning.knobs import Knob
from keras_residual.tuning.named import NamedHyperNetwork, block_convolutions, resnet_in_words

_KERNELS = ("3-3", "5-5", "5-3-3", "8-5-3", "15-9-5")


class HyperResNet1D(NamedHyperNetwork):
    """A space of residual networks for time series, around that of Wang et al.

    Its default is `ResNet1D` with the recipe `recipe`. Knobs are fixed, narrowed and left out as in
    `HyperResNet`.

    Knobs of the network: `stages`; `depth1` … and `width1` … of each stage (`depth` and `width`
    speak of all); `kernels`, the kernel sizes of a block's convolutions, such as `"8-5-3"`;
    `downsample`, whether each stage after the first halves the number of steps; `shortcut`;
    `normalize_identity`; `se_ratio`; `dropout_rate`; `drop_path_rate`; any other option of `ResNet`
    with plain values by naming it. Knobs of training: as in `HyperResNet`, without `augmentation`.

    Args:
        input_shape: `(steps, features)`.
        **knobs: Those of `SearchSpace`.

    Example:

    >>> space = HyperResNet1D((96, 1), 2, max_parameters=50_000, width=[8, 16, 32])
    """

    family = ResNetArchitecture
    dimensions = 1
    quick_to_count: ClassVar[dict[str, Any]] = {"execution": "scanned"}
    sizes = ("stages", "depth", "width", "se_ratio")
    widths = ("width",)

    def __init__(
        self, input_shape: Sequence[int], classes: int, recipe: Recipe | str = "quick", **knobs: Any
    ):
        if len(_checks.items("input_shape", input_shape)) != 2:
            raise ValueError(
                "`input_shape` must be (steps, features). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        super().__init__(input_shape, classes, "ResNet1D", recipe, **knobs)

    def augmentations(self) -> tuple[str, ...]:
        return ()

    def architecture(self, base: ResNetArchitecture) -> list[Knob]:
        stages = (1, 2, 3, 4)
        return [
            Knob("stages", stages, len(base.depths)),
            *self.stage_knobs("depth", stages, base.depths, (1, 2, 3)),
            *self.stage_knobs("width", stages, base.widths),
            self.choice("kernels", "-".join(map(str, base.kernel_sizes)), *_KERNELS),
            Knob("downsample", (False, True), False),
            self.choice("shortcut", base.shortcut, "projection", "pad", "pooled"),
            Knob("normalize_identity", (False, True), base.normalize_identity),
            self.choice("se_ratio", base.se_ratio, 0.0, 1 / 16, 1 / 8, 1 / 4),
            self.choice("dropout_rate", base.dropout_rate, 0.0, 0.1, 0.2),
            self.choice("drop_path_rate", base.drop_path_rate, 0.0, 0.1, 0.2),
        ]

    def options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        later = 2 if values["downsample"] else 1
        return {
            **self.chosen_options(values),
            "stem": "none",
            "depths": self.of_stages("depth", values),
            "widths": self.of_stages("width", values),
            "kernel_sizes": tuple(int(size) for size in values["kernels"].split("-")),
            "stage_strides": (1, *[later] * (values["stages"] - 1)),
        }

    def strides(self, options: dict[str, Any]) -> int:
        return super().strides(options) * math.prod(options["stage_strides"])

    def convolutions(self, options: dict[str, Any]) -> int:
        return super().convolutions(options) + block_convolutions(options)

    def in_words(self, options: dict[str, Any]) -> str:
        kernels = "-".join(map(str, options["kernel_sizes"]))
        return f"{resnet_in_words(options)} kernels {kernels}"
