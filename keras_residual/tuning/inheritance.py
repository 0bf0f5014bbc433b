"""Weights of a residual network for a changed one that computes the same function.

A wider layer keeps the old channels and gets new ones, random ones, which nothing reads yet: the
weights from new channels to old ones are zero. Batch normalization, which treats each channel by
itself, and groups, within which old channels stay together, leave that exact. A further block
begins with a branch of zero, a further gate at one half with the branch doubled, a larger kernel
with a border of zeros.
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


def weights_of(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the variables of a network by name, such as `stage2.block1.conv1.conv.kernel`.

    Raises:
        NotKeptError: If a stage is scanned: its variables are those of several blocks.
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
    """What a changed network takes over.

    Attributes:
        weights: All weights of the new network by name.
        is_exact: Whether the function is kept; without it, blocks have been taken out.
        left_out: The blocks that were taken out, such as `stage2.block3`.
    """

    weights: dict[str, np.ndarray]
    is_exact: bool
    left_out: tuple[str, ...]


def inherited(
    before: ResNetArchitecture,
    after: ResNetArchitecture,
    old: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    spatial: tuple[int, ...],
) -> Inheritance:
    """Takes the weights of a network over into a changed one.

    Args:
        before: The architecture of the old network.
        after: That of the new one. Where a stage has fewer blocks, those of the weakest branches
            are taken out; that alone changes the function.
        old: The weights of the old network by name, see `weights_of`.
        new: The initial weights of the new one, which what is added keeps.
        spatial: Height and width, or the number of steps, of the inputs.

    Raises:
        NotKeptError: If the change cannot keep the function.
    """
    shorter, rest, left_out = _without_weakest(before, after, dict(old))
    change = Change(shorter, after, rest, new, spatial)
    change.network()
    return Inheritance(change.result, not left_out, left_out)


def _without_weakest(before, after, old):
    """Takes out blocks, the weakest first, until no stage has more than the new network's."""
    depths, left_out = list(before.depths), []
    for stage in range(min(len(depths), len(after.depths))):
        numbers = list(range(1, depths[stage] + 1))
        while len(numbers) > after.depths[stage]:
            # The first block changes the size.
            weakest = min(
                numbers[1:], key=lambda number: _strength(old, f"stage{stage + 1}.block{number}.")
            )
            numbers.remove(weakest)
            left_out.append(f"stage{stage + 1}.block{weakest}")
        renamed = {
            f"stage{stage + 1}.block{number}.": f"stage{stage + 1}.block{place}."
            for place, number in enumerate(numbers, start=1)
        }
        old = {_renamed(name, f"stage{stage + 1}.", renamed): old[name] for name in old}
        old.pop("", None)
        depths[stage] = len(numbers)
    return dataclasses.replace(before, depths=tuple(depths)), old, tuple(left_out)


def _renamed(name, stage, blocks):
    """Returns the name of a weight in the shorter network, empty if its block is left out."""
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
