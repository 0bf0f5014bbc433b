"""The blocks of a network: listing them, running them one by one, deleting them."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_residual.analysis._graph import Runner
from keras_residual.layers import DenseBlock, DualPathBlock, HighwayStage, ResidualStage
from keras_residual.layers.block_parts import SECOND
from keras_residual.layers.equal_blocks import named_weights
from keras_residual.layers.strides import downsamples

# Its sigmoid is zero in every dtype that can represent it.
_CLOSED = -1e4
# Kind of the units of a layer, by the layer's class.
_KINDS = {DenseBlock: "dense", DualPathBlock: "dual", HighwayStage: "highway"}
# Name prefixes of the convolutions of a residual function, and of a second one.
_PATHS = ("conv", f"{SECOND}conv")


@dataclass(frozen=True)
class Block:
    """One block of a network.

    Attributes:
        name: As in `"stage1/block2"` or `"block1/unit3"`.
        kind: `"residual"`, `"plain"` for a block without shortcut, `"dense"`, `"dual"` or
            `"highway"`.
        owner: The stage or dense block that holds it.
        index: Its place there, from 0.
    """

    name: str
    kind: str
    owner: keras.layers.Layer
    index: int

    def get_weights(self) -> dict[str, np.ndarray]:
        """Returns the weights by their path inside the block."""
        if isinstance(self.owner, ResidualStage):
            return self.owner.get_block_weights(self.index)
        weights = named_weights(self.owner.units[self.index])
        return {name: keras.ops.convert_to_numpy(weight) for name, weight in weights.items()}

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Sets what `get_weights` returns."""
        if isinstance(self.owner, ResidualStage):
            self.owner.set_block_weights(self.index, weights)
            return
        for name, variable in named_weights(self.owner.units[self.index]).items():
            variable.assign(weights[name])

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: value.shape for name, value in self.get_weights().items()}

    def deleted_weights(self) -> dict[str, np.ndarray] | None:
        """Returns weights that disable the block, or `None` if that is not possible.

        A residual block is reduced to its shortcut, a unit of a dense or dual path block appends
        zeros, the gate of a highway layer is closed, and a plain block becomes the identity,
        provided that it keeps the shape.
        """
        weights = self.get_weights()
        if self.kind == "highway":
            closed = {"gate.kernel": 0.0, "gate.bias": _CLOSED}
            return weights | {name: 0 * weights[name] + closed[name] for name in closed}
        return _without_residual(weights) if self.kind != "plain" else self._identity(weights)

    def _identity(self, weights):
        pattern = self.owner.first
        kernels = [value for name, value in weights.items() if name.endswith("conv.kernel")]
        square = all(kernel.shape[-2] == kernel.shape[-1] for kernel in kernels)
        strided = self.index == 0 and downsamples(pattern.strides)
        if pattern.preactivated or strided or not square:
            return None
        changed = {}
        for name, value in weights.items():
            role, _, kind = name.rpartition(".")
            if kind == "kernel":
                changed[name] = np.zeros_like(value)
                centre = tuple((size - 1) // 2 for size in value.shape[:-2])
                changed[name][centre] = np.eye(value.shape[-1], dtype=value.dtype)
            elif kind == "gamma" and f"{role}.moving_variance" in weights:
                variance = weights[f"{role}.moving_variance"]
                changed[name] = np.sqrt(variance + pattern.norm_epsilon)
            elif kind == "beta" and f"{role}.moving_mean" in weights:
                changed[name] = weights[f"{role}.moving_mean"]
            elif kind == "bias":
                changed[name] = np.zeros_like(value)
        return {**weights, **changed}


def _without_residual(weights):
    """Zeroes the last convolution of F, or the scale and shift after it."""
    parts = [name.split(".")[0] for name in weights]
    if "f" in parts:
        halves = ({k: v for k, v in weights.items() if k.startswith(f"{p}.")} for p in "fg")
        halves = [{k[2:]: v for k, v in half.items()} for half in halves]
        for path, half in zip("fg", halves, strict=True):
            weights = weights | {f"{path}.{k}": v for k, v in _without_residual(half).items()}
        return weights
    if "residual_conv" in parts:
        ends = ("residual_conv.", "dense_conv.")
    else:
        paths = [re.findall(rf"^{path}(\d+)$", "\n".join(parts), re.M) for path in _PATHS]
        lasts = [f"{path}{max(map(int, n))}" for path, n in zip(_PATHS, paths, strict=True) if n]
        ends = tuple(
            f"{last}.norm." if f"{last}.norm.gamma" in weights else f"{last}.conv."
            for last in lasts
        )
    return {
        name: np.zeros_like(value)
        if name.startswith(ends) and name.rpartition(".")[2] in ("gamma", "beta", "kernel", "bias")
        else value
        for name, value in weights.items()
    }


def blocks_of(model: keras.Model) -> list[Block]:
    """Returns the blocks of a network in order.

    Args:
        model: A built network of this package, or a model around one.

    Raises:
        ValueError: If the model has no residual stage, dense block or highway layer.
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a built Keras model. Received: model={model!r}")
    found = list(_blocks(model))
    if not found:
        raise ValueError(
            "`model` must have residual stages, dense blocks or highway layers of this package. "
            f"Received: {model.name!r} with the layers {[layer.name for layer in model.layers]}"
        )
    return found


def _blocks(model) -> Iterator[Block]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _blocks(layer)
        elif isinstance(layer, ResidualStage):
            kind = "plain" if layer.first.shortcut.kind == "none" else "residual"
            for index in range(layer.depth):
                yield Block(f"{layer.name}/block{index + 1}", kind, layer, index)
        elif isinstance(layer, tuple(_KINDS)):
            kind = next(kind for owner, kind in _KINDS.items() if isinstance(layer, owner))
            for index in range(len(layer.units)):
                yield Block(f"{layer.name}/unit{index + 1}", kind, layer, index)


@contextlib.contextmanager
def replaced(weights: dict[Block, dict[str, np.ndarray]]) -> Iterator[None]:
    """Replaces the weights of blocks while the body of the `with` statement runs."""
    before = {block: block.get_weights() for block in weights}
    try:
        for block, values in weights.items():
            block.set_weights(values)
        yield
    finally:
        for block, values in before.items():
            block.set_weights(values)


def unrolled(model: keras.Model) -> keras.Model:
    """Returns the model, or a copy whose scanned stages have a layer for each block."""
    config = model.get_config()
    if not _unroll(config):
        return model
    copy = type(model).from_config(config)
    _copy_weights(model, copy)
    return copy


def _unroll(config) -> bool:
    """Sets the execution of every scanned stage in a model's config; returns whether any was."""
    changed = False
    for entry in config.get("layers", ()):
        inner = entry["config"]
        changed |= _unroll(inner)
        if entry["class_name"] == "ResidualStage" and inner["execution"] != "unrolled":
            inner["execution"] = "unrolled"
            changed = True
    return changed


def _copy_weights(model, copy):
    for layer, other in zip(model.layers, copy.layers, strict=True):
        if isinstance(layer, keras.Model):
            _copy_weights(layer, other)
        elif isinstance(layer, ResidualStage):
            for index in range(layer.depth):
                other.set_block_weights(index, layer.get_block_weights(index))
        else:
            other.set_weights(layer.get_weights())


def run_layer_by_blocks(layer, args, kwargs, after: Callable[..., Any]):
    """Returns a layer's output; the blocks of a stage or dense block are called one by one.

    Args:
        layer: A layer of an unrolled model.
        args: Its arguments.
        kwargs: Its keyword arguments.
        after: Maps the name of a block, such as `"stage1/block2"`, and its output to the input of
            the next block.
    """
    if isinstance(layer, ResidualStage):
        x = args[0]
        for index, block in enumerate(layer.block_layers(), start=1):
            x = after(f"{layer.name}/block{index}", block(x))
        return x
    if isinstance(layer, HighwayStage):
        x = layer.entered(args[0])
        for index, unit in enumerate(layer.units, start=1):
            x = after(f"{layer.name}/unit{index}", unit(x))
        return layer.pooled(x)
    if isinstance(layer, (DenseBlock, DualPathBlock)):
        x = args[0]
        for index, unit in enumerate(layer.units, start=1):
            new = after(f"{layer.name}/unit{index}", unit(x))
            x = layer.joined(x, new) if isinstance(layer, DenseBlock) else new
        return x
    return layer(*args, **kwargs)


def block_shapes(layer, shape) -> dict[str, tuple[Any, ...]]:
    """Returns the output shape by the name of each block that `run_layer_by_blocks` calls."""
    shapes = {}
    if isinstance(layer, ResidualStage):
        for index, block in enumerate(layer.block_layers(), start=1):
            shape = shapes[f"{layer.name}/block{index}"] = block.compute_output_shape(shape)
    elif isinstance(layer, tuple(_KINDS)):
        steps = [step for step in layer.plan(shape)[0] if step[0] in layer.units]
        for index, (unit, taken) in enumerate(steps, start=1):
            shapes[f"{layer.name}/unit{index}"] = unit.compute_output_shape(taken)
    return shapes


class BlockRunner:
    """Runs an unrolled model with its residual blocks called one by one.

    Args:
        model: A result of `unrolled`.
    """

    def __init__(self, model: keras.Model):
        self._run = Runner(model)

    def __call__(self, inputs, call: Callable[..., Any]):
        """Returns the outputs.

        Args:
            inputs: A batch.
            call: Maps a block's name, the block and its input to its output.
        """

        def call_layer(layer, args, kwargs):
            if not isinstance(layer, ResidualStage):
                return layer(*args, **kwargs)
            x = args[0]
            for index, block in enumerate(layer.block_layers(), start=1):
                x = call(f"{layer.name}/block{index}", block, x)
            return x

        return self._run(inputs, call_layer)
