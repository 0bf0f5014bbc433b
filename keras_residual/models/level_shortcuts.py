"""Shortcuts around whole stages: residual networks of residual networks (RoR)."""

from typing import Any

from keras_residual import _checks
from keras_residual.layers import NormActivation, ResidualStage, Shortcut
from keras_residual.layers.composite import fresh_initializer
from keras_residual.models.assembly import Skip

LEVELS = (1, 2, 3)


class LevelShortcuts:
    """The shortcuts of a network around all stages at once and around each of them.

    Args:
        levels: `1`: none, the blocks alone have shortcuts; `2`: one around all stages; `3`: one
            around each stage too.
        stages: Number of stages.
        activation_order: That of the blocks. The last block of a stage that ends in such a sum
            leaves its activation to the sum.
        shared: Arguments of a layer that convolves.
        use_bias: Whether a projection that no normalization follows has a bias.
    """

    def __init__(
        self, levels: int, stages: int, activation_order: str, shared: dict[str, Any], use_bias
    ):
        self.levels = _checks.choice("shortcut_levels", levels, LEVELS)
        if levels == 3 and stages == 1:
            raise ValueError(
                "`shortcut_levels=3` needs several stages: around a single one both shortcuts "
                f"would be the same. Received: shortcut_levels={levels}, depths of one stage"
            )
        self.stages, self.order = stages, activation_order
        self.shared, self.use_bias = shared, use_bias
        self.strides = 1
        self.skips: dict[str, tuple[Skip, ...]] = {}

    def end(self, stage: int) -> bool:
        """Returns whether such a shortcut ends after a stage, counted from 0."""
        return self.levels == 3 or (self.levels == 2 and stage == self.stages - 1)

    def last_block(self, stage: int) -> dict[str, Any]:
        """Returns the arguments that differ for the last block of a stage."""
        return {"activation_order": "inner"} if self.end(stage) and self.order == "post" else {}

    def after(self, stage: int, layer: ResidualStage, strides: int) -> list[Any]:
        """Adds the shortcuts that end after a stage and returns the layers that follow the sums.

        Args:
            stage: Which stage, from 0.
            layer: The stage.
            strides: Its strides.
        """
        self.strides *= strides
        if not self.end(stage):
            return []
        skips = []
        if self.levels == 3:
            skips.append(self._skip(layer.name, layer, strides, f"stage{stage + 1}", stage))
        if stage == self.stages - 1:
            skips.append(self._skip("stage1", layer, self.strides, "root", self.stages))
        self.skips[layer.name] = tuple(skips)
        if self.order != "post":
            return []
        options = {
            key: self.shared[key]
            for key in ("activation", "norm_momentum", "norm_epsilon", "dtype", "data_format")
        }
        name = f"stage{stage + 1}_output"
        return [NormActivation("none", name=name, **options)]

    def _skip(self, source, layer, strides, name, number):
        options = {**self.shared, "activation": None}
        # Seeds that differ from those of the blocks, and from each other.
        initializer = fresh_initializer(self.shared["kernel_initializer"], 1000 + number)
        options["kernel_initializer"] = initializer
        if self.order == "pre":
            # As in the blocks, the added input is neither normalized nor activated.
            options |= {"normalization": "none", "use_bias": self.use_bias}
        shortcut = Shortcut(layer.first.filters, strides, name=f"{name}_shortcut", **options)
        return Skip(source, f"{name}_skip", shortcut)
