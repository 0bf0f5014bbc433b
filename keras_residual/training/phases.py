"""The phases of fine-tuning: trainable layers, epochs and learning rates."""

from dataclasses import dataclass

import keras

from keras_residual import _checks
from keras_residual.training import depth
from keras_residual.training.recipe import Recipe


@dataclass(frozen=True)
class Phase:
    """Consecutive epochs in which the same layers train.

    Attributes:
        until: Name of the last frozen layer, `None` if all layers train.
        start: Number of the first epoch.
        stop: Number after the last epoch.
        learning_rate: The highest rate.
        versions: Number of augmented versions of each image whose frozen outputs are cached; `0` if
            they are computed in each step.
    """

    until: str | None
    start: int
    stop: int
    learning_rate: float
    versions: int

    @property
    def epochs(self) -> int:
        return self.stop - self.start


def plan(model: keras.Model, recipe: Recipe, epochs: int) -> list[Phase]:
    """Returns the phases of a training: first only the head, then all layers that are not frozen.

    Raises:
        ValueError: If `recipe.freeze` is not a layer after which the model can be cut, or the
            recipe averages weights, which would restart in each phase.
    """
    if recipe.ema:
        raise ValueError(
            "`ema` must be 0 where layers train in phases or at rates of their own (head_epochs, "
            f"freeze, layer_decay, freeze_normalization, restore_best). Received: ema={recipe.ema}"
        )
    cuts = depth.freezable(model)
    lowest = _lowest_frozen(model, recipe, cuts)
    head = _below_head(model, cuts)
    first = min(recipe.head_epochs, epochs) if head is not None else 0
    phases = []
    if first:
        versions = min(recipe.versions, first)
        phases.append(Phase(head, 0, first, recipe.head_learning_rate, versions))
    if epochs > first:
        kept = lowest is not None and _pays(model, lowest)
        versions = min(recipe.versions, epochs - first) if kept else 0
        phases.append(Phase(lowest, first, epochs, recipe.learning_rate, versions))
    return phases


def _lowest_frozen(model, recipe, cuts) -> str | None:
    """Returns the layer up to which the model stays frozen in all phases."""
    if recipe.freeze is not None:
        _checks.known("layer to freeze", recipe.freeze, cuts)
        return recipe.freeze
    count = len(depth.units(model))
    factors = [recipe.layer_decay ** (count - 1 - number) for number in range(count)]
    below_least = sum(factor < recipe.least_factor for factor in factors)
    found = None
    for name in cuts:
        if len(depth.units(model, name)) > below_least:
            break
        found = name
    return found


def _below_head(model, cuts) -> str | None:
    """Returns the last layer before the head, `None` if the model cannot be cut there."""
    weighted = [layer.name for layer in model.layers if layer.weights]
    names = [layer.name for layer in model.layers]
    before = [name for name in cuts if names.index(name) < names.index(weighted[-1])]
    return before[-1] if len(weighted) > 1 and before else None


def _pays(model, until) -> bool:
    """Returns whether more than half of a model's depth is frozen, so that caching saves time.

    Caching reduces variety: there are only a few augmented versions of each image.
    """
    return 2 * len(depth.units(model, until)) > len(depth.units(model))
