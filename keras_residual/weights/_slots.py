"""The weights of a network with their position in the architecture: section, block, role."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_residual import layers
from keras_residual.layers.equal_blocks import named_weights
from keras_residual.layers.opening import original_of
from keras_residual.layers.parametric_relu import ParametricReLU
from keras_residual.layers.stem_pool import StemPool
from keras_residual.weights.errors import WeightsError, listed

# The stem's pooling if it is a convolution; its weights are named as part of the stem.
STEM_POOL = "stem_pool"
_FLAT_NAME = re.compile(
    r"(stage\d+_block|(dense|dual|highway)\d+_unit|fractal\d+_column)\d+_|highway\d+_conv"
)
# Layers of the super-resolution networks that are sections without a number.
_SUPER_RESOLUTION = ("head", "trunk", "upsample", "prelu", "tail")


@dataclasses.dataclass(frozen=True, eq=False)
class Slot:
    """One weight of one block.

    Attributes:
        name: The weight's name in this package, independent of the execution of a stage, e.g.
            `"stage2.block3.conv1.conv.kernel"`.
        section: `"stem"`, `"deep_stem"`, `"stage"`, `"dense"`, `"dual"`, `"fractal"`,
            `"highway"`, `"transition"`, `"level_shortcut"`, `"final_norm"`, `"final_conv"` or
            `"classifier"`; for super-resolution also `"head"`, `"trunk"`, `"upsample"`, `"prelu"`
            and `"tail"`.
        number: Number of the stage, dense block or transition, from 1; 1 for other sections.
        block: Number of the block in its stage or of the unit in its dense block, from 1.
        role: The sublayer inside the block, e.g. `"conv1.conv"` or `"conv1.norm"`; `"pooled"` for a
            pooled shortcut.
        kind: `"kernel"`, `"bias"`, `"gamma"`, `"beta"`, `"moving_mean"`, `"moving_variance"` or
            `"alpha"`.
        shape: Shape of the weight.
        variable: The Keras variable that holds it.
        index: Position in a variable that stacks the weights of equal blocks, else `None`.
    """

    name: str
    section: str
    number: int
    block: int
    role: str
    kind: str
    shape: tuple[int, ...]
    variable: keras.Variable
    index: int | None = None

    @property
    def is_top(self) -> bool:
        return self.section == "classifier"

    @property
    def is_first_kernel(self) -> bool:
        """Whether it is the kernel of the first convolution."""
        return self.section.endswith("stem") and (self.role, self.kind) == ("conv1.conv", "kernel")


def slots_of(model: keras.Model) -> list[Slot]:
    """Returns every weight of a network of this package, in the network's order.

    Raises:
        WeightsError: If the model has weights in layers that do not belong to such a network.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a Keras model. Received: model={model!r} of type "
            f"{type(model).__name__}"
        )
    model = original_of(model)
    if _is_flat(model):
        return _flat_slots(model)
    counts, found, foreign, stem = {}, [], [], "stem"
    for layer in model.layers:
        if not layer.weights:
            continue
        section = _section_of(layer)
        if section is None:
            foreign.append(layer.name)
            continue
        counts[section] = counts.get(section, 0) + 1
        pools = layer.name == STEM_POOL
        if section.endswith("stem"):
            stem = section
        if pools:
            section, counts[stem] = stem, 1
        for block, path, shape, variable, index in _cells(layer):
            path = f"pool_conv.{path}" if pools else path
            role, _, kind = path.rpartition(".")
            owner = "stem" if pools else layer.name
            name = ".".join(part for part in (owner, block, path) if part)
            number = int("".join(filter(str.isdigit, block)) or 1)
            role = _pooled(role) if "pooled" in _shortcut_kinds(layer) else role
            found.append(
                Slot(name, section, counts[section], number, role, kind, shape, variable, index)
            )
    if foreign or all(slot.is_top for slot in found):
        raise WeightsError(
            f"the model {model.name!r} is not a network of this package: it has "
            + (f"weights in the layers {listed(foreign)}" if foreign else "no residual weights")
            + "; if it contains one, pass that model instead"
        )
    return found


def _is_flat(model) -> bool:
    """Returns whether a model is a flat network of this package that was loaded from a file."""
    names = [layer.name for layer in model.layers if isinstance(layer, layers.Convolution)]
    return any(_FLAT_NAME.match(name) for name in names)


def _flat_slots(model) -> list[Slot]:
    """Returns the weights of a flat network, whose positions are known by their names only."""
    return [
        Slot(
            f"{layer.name}.{variable.name}",
            "classifier" if layer.name == "classifier" else "flat",
            1,
            1,
            layer.name,
            variable.name,
            tuple(variable.shape),
            variable,
        )
        for layer in model.layers
        for variable in layer.weights
        if not keras.backend.is_int_dtype(variable.dtype)
    ]


def _section_of(layer: keras.layers.Layer) -> str | None:
    if isinstance(layer, layers.Stem):
        return "deep_stem" if layer.kind in ("deep", "tiered") else "stem"
    if isinstance(layer, layers.ConvNorm) and layer.name in ("final_conv", STEM_POOL):
        return layer.name
    if isinstance(layer, (layers.ConvNorm, ParametricReLU)):
        name = layer.name.rstrip("0123456789")
        return name if name in _SUPER_RESOLUTION else None
    sections = {
        layers.ResidualStage: "stage",
        layers.DenseBlock: "dense",
        layers.DualPathBlock: "dual",
        layers.FractalBlock: "fractal",
        layers.HighwayStage: "highway",
        layers.DenseTransition: "transition",
        layers.NormActivation: "final_norm",
        layers.Shortcut: "level_shortcut",
    }
    if isinstance(layer, keras.layers.Dense):
        return "classifier" if layer.name == "classifier" else None
    return next((name for kind, name in sections.items() if isinstance(layer, kind)), None)


def _shortcut_kinds(layer) -> tuple[str, ...]:
    return (layer.first.shortcut.kind,) if isinstance(layer, layers.ResidualStage) else ()


def _pooled(role: str) -> str:
    return role.replace("shortcut", "pooled", 1) if role.startswith("shortcut.conv") else role


def _cells(layer) -> Iterator[tuple[Any, ...]]:
    """Yields block name, path inside the block, shape, variable and index of every weight."""
    if isinstance(layer, layers.ResidualStage):
        yield from _stage_cells(layer)
        return
    for path, variable in named_weights(layer).items():
        block = ""
        units = isinstance(layer, layers.HighwayStage) and path.startswith("unit")
        if units or isinstance(layer, (layers.DenseBlock, layers.DualPathBlock)):
            block, _, path = path.partition(".")
        yield block, path, tuple(variable.shape), variable, None


def _stage_cells(stage: layers.ResidualStage) -> Iterator[tuple[Any, ...]]:
    scanned = stage.equal is not None and stage.equal.scanned
    blocks = {1: stage.first}
    if stage.equal is not None and not scanned:
        blocks.update(enumerate(stage.equal.blocks, start=2))
    if stage.last is not None:
        blocks[stage.depth] = stage.last
    if scanned:
        shapes = {path: value.shape for path, value in stage.get_block_weights(1).items()}
        stacked = {variable.name: variable for variable in stage.equal.weights}
    for number in range(1, stage.depth + 1):
        if number in blocks:
            for path, variable in named_weights(blocks[number]).items():
                yield f"block{number}", path, tuple(variable.shape), variable, None
            continue
        for path, shape in shapes.items():
            variable = stacked[path.replace(".", "_")]
            yield f"block{number}", path, shape, variable, number - 2


def read(slots: Iterable[Slot]) -> Iterator[tuple[Slot, np.ndarray]]:
    """Yields the slots with their values, which may share memory with the model."""
    stacks: dict[int, np.ndarray] = {}
    for slot in slots:
        if slot.index is None:
            yield slot, keras.ops.convert_to_numpy(slot.variable)
            continue
        if id(slot.variable) not in stacks:
            stacks[id(slot.variable)] = keras.ops.convert_to_numpy(slot.variable)
        yield slot, stacks[id(slot.variable)][slot.index]


def assign(values: Mapping[Slot, np.ndarray]) -> None:
    """Sets slots to values of their shapes; a stack over equal blocks must be complete."""
    stacks: dict[int, list[Slot]] = {}
    for slot, value in values.items():
        if slot.index is None:
            slot.variable.assign(value)
        else:
            stacks.setdefault(id(slot.variable), []).append(slot)
    for stack in stacks.values():
        ordered = sorted(stack, key=lambda slot: slot.index)
        ordered[0].variable.assign(np.stack([values[slot] for slot in ordered]))


def options_of(model: keras.Model) -> dict[str, object]:
    """Returns the architecture options that published weights may depend on."""
    model = original_of(model)
    options: dict[str, object] = {}
    stages = [layer for layer in model.layers if isinstance(layer, layers.ResidualStage)]
    for layer in model.layers:
        if isinstance(layer, layers.Stem):
            config = layer.get_config()
            options["stem"] = config["kind"]
            for name in ("pool_padding", "norm_epsilon", "normalization"):
                options[name] = config[name]
        if isinstance(layer, layers.PixelShuffle):
            options["scale"] = options.get("scale", 1) * layer.scale
        if isinstance(layer, StemPool):
            options["pool_padding"] = layer.padding
        if isinstance(layer, layers.ConvNorm) and layer.name == "tail":
            options["output_activation"] = layer.get_config()["activation"]
    if stages:
        block = stages[0].first
        options.update(block.get_config())
        options["strided_block"] = "last" if any(stage.last for stage in stages) else "first"
        if stages[0].get_config()["block"]["config"]["share_preactivation"]:
            options["share_preactivation"] = "all"
        elif block.shortcut.conv is not None:
            # Sharing has no effect on a block whose shortcut is a projection.
            options["share_preactivation"] = False
    return options
