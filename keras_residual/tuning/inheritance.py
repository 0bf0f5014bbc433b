"""Initializes a modified residual network from another, so that it computes the same function.

A wider layer keeps the old channels and adds randomly initialized ones that do not yet affect the
output: the weights from new channels to old ones are zero. This is exact with batch normalization,
which is per channel, and with groups, as old channels of one group stay together. The residual
branch of an added block starts at zero, an added gate at 1/2 with its branch doubled, and larger
kernels are padded with zeros.
"""

import dataclasses
import re
from collections.abc import Mapping

import keras
import numpy as np

from keras_residual.layers import ResidualStage
from keras_residual.layers.equal_blocks import named_weights
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.tuning.change import Change
from keras_residual.tuning.transfer import NotKeptError

# Weights are numbered from here to trace them: above all weights and counts, exact when doubled.
_FIRST = 2.0**45


def weights_of(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the variables of a network by name, such as `stage2.block1.conv1.conv.kernel`.

    Raises:
        NotKeptError: If a stage is scanned, as its variables are stacked over blocks.
    """
    found = {}
    for layer in model.layers:
        if isinstance(layer, ResidualStage):
            for block, sublayer in _blocks(layer).items():
                for path, variable in named_weights(sublayer).items():
                    found[f"{layer.name}.{block}.{path}"] = variable
        elif layer.weights and layer.name != "standardize":
            for path, variable in named_weights(layer).items():
                found[f"{layer.name}.{path}"] = variable
    return found


def _blocks(stage):
    if stage.equal is not None and stage.equal.scanned:
        raise NotKeptError(f"the blocks of {stage.name} are scanned")
    blocks = [stage.first, *(stage.equal.blocks if stage.equal is not None else ())]
    blocks += [stage.last] if stage.last is not None else []
    return {f"block{number}": block for number, block in enumerate(blocks, start=1)}


@dataclasses.dataclass(frozen=True)
class Inheritance:
    """The weights that a modified network inherits.

    Attributes:
        weights: All weights of the new network by name.
        is_exact: Whether the network computes the same function; not if blocks were removed.
        left_out: The blocks that were removed, such as `stage2.block3`.
        sources: For each weight of the new network, the name of the old weight that it comes from,
            the index of each value in the flattened old weight (-1 for a new value), and the factor
            by which each value was multiplied.
    """

    weights: dict[str, np.ndarray]
    is_exact: bool
    left_out: tuple[str, ...]
    sources: dict[str, tuple[str, np.ndarray, np.ndarray]]

    def carried(self, name: str, arrays: Mapping[str, np.ndarray], power: int) -> np.ndarray:
        """Returns an optimizer's state for a new weight, with 0 for new values.

        Args:
            name: Name of the new weight.
            arrays: The optimizer's state for the old weights, by name.
            power: Power of the gradient in that state: 1 for momentum, 2 for squared gradients. The
                gradient of a weight multiplied by 2 is halved.
        """
        before, places, factors = self.sources[name]
        if before not in arrays:
            return np.zeros(places.shape, np.float32)
        values = np.asarray(arrays[before]).reshape(-1)[np.maximum(places, 0)]
        return np.where(places < 0, 0, values / factors**power).astype(np.float32)


def inherited(
    before: ResNetArchitecture,
    after: ResNetArchitecture,
    old: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    spatial: tuple[int, ...],
) -> Inheritance:
    """Returns the weights of a modified network that computes the same function as another.

    Args:
        before: The architecture of the old network.
        after: The architecture of the new network. Where a stage has fewer blocks, the blocks with
            the weakest branches are removed, which alone changes the function.
        old: The weights of the old network by name, see `weights_of`.
        new: The initial weights of the new network, kept by the parts that are added.
        spatial: Height and width, or the number of steps, of the inputs.

    Raises:
        NotKeptError: If the modified network cannot compute the same function.
    """
    shorter, names, left_out = _without_weakest(before, after, old)
    rest = {name: old[origin] for name, origin in names.items()}
    change = Change(shorter, after, rest, new, spatial)
    change.network()
    sources = {
        name: (names.get(name, name), *found)
        for name, found in _sources(shorter, after, rest, new, spatial).items()
    }
    return Inheritance(change.result, not left_out, left_out, sources)


def _sources(before, after, old, new, spatial) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns the origin of each new weight, by applying the same change to numbered weights."""
    numbered = {
        name: (_FIRST + np.arange(value.size, dtype=np.float64)).reshape(value.shape)
        for name, value in old.items()
    }
    nothing = {name: np.zeros(value.shape, np.float64) for name, value in new.items()}
    change = Change(before, after, numbered, nothing, spatial)
    change.network()
    found = {}
    for name, value in change.result.items():
        factors = np.where(value >= 2 * _FIRST, 2.0, 1.0)
        places = np.where(value >= _FIRST, value / factors - _FIRST, -1).astype(np.int64)
        found[name] = places, factors
    return found


def _without_weakest(before, after, old):
    """Removes blocks, the weakest first, until no stage is deeper than in the new network.

    Returns:
        The shorter architecture, the old name of each of its weights, and the removed blocks.
    """
    names = {name: name for name in old}
    depths, left_out = list(before.depths), []
    for stage in range(min(len(depths), len(after.depths))):
        numbers = list(range(1, depths[stage] + 1))
        while len(numbers) > after.depths[stage]:
            # The first block changes the shape and must stay.
            weakest = min(
                numbers[1:], key=lambda number: _strength(old, f"stage{stage + 1}.block{number}.")
            )
            numbers.remove(weakest)
            left_out.append(f"stage{stage + 1}.block{weakest}")
        renamed = {
            f"stage{stage + 1}.block{number}.": f"stage{stage + 1}.block{place}."
            for place, number in enumerate(numbers, start=1)
        }
        names = {_renamed(name, f"stage{stage + 1}.", renamed): names[name] for name in names}
        names.pop("", None)
        depths[stage] = len(numbers)
    return dataclasses.replace(before, depths=tuple(depths)), names, tuple(left_out)


def _renamed(name, stage, blocks):
    """Returns the name of a weight in the shorter network, empty if its block was removed."""
    if not name.startswith(stage):
        return name
    block = ".".join(name.split(".")[:2]) + "."
    return blocks[block] + name.removeprefix(block) if block in blocks else ""


def _strength(old, block):
    """Returns how strong a block's branch is, by the scale of its last normalization or kernel."""
    norms = sorted(n for n in old if n.startswith(block) and re.search(r"conv\d\.norm\.gamma$", n))
    kernels = sorted(
        n for n in old if n.startswith(block) and re.search(r"conv\d\.conv\.kernel", n)
    )
    has_norm = norms and norms[-1].split(".")[2] == kernels[-1].split(".")[2]
    return float(np.abs(old[norms[-1] if has_norm else kernels[-1]]).mean())
