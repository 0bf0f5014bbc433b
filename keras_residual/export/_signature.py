"""Inputs and outputs of models and artefacts by name, and data for them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class InputSpec:
    """One input of a model or an artefact.

    Attributes:
        shape: Its shape with the batch; `None` for sizes that may vary.
        type: Name of its type.
    """

    shape: tuple[int | None, ...]
    type: str

    @property
    def is_floating(self) -> bool:
        return keras.backend.is_float_dtype(self.type)

    def __str__(self) -> str:
        sizes = ("any" if size is None else str(size) for size in self.shape[1:])
        return f"({', '.join(['n', *sizes])})"


def input_specs(model: keras.Model) -> dict[str, InputSpec]:
    """Returns a model's inputs in order, by names that are valid in every format.

    The names are the keys of the model's dict of inputs, or the names of its tensors.
    """
    keys, specs = {}, {}
    if takes_dict(model):
        keys = {id(tensor): key for key, tensor in model.input.items()}
    for index, tensor in enumerate(model.inputs):
        name = re.sub(r"\W", "_", keys.get(id(tensor), tensor.name), flags=re.ASCII)
        name = name.lstrip("_") or "input"
        name = f"{name}_{index}" if name in specs else name
        kind = keras.backend.standardize_dtype(tensor.dtype)
        specs[name] = InputSpec(tuple(tensor.shape), kind)
    return specs


def structured(model: keras.Model, values: Iterable[Any]):
    """Packs values, in the order of `input_specs`, into the structure that the model takes."""
    # `input` of a sequential model is unset until it is called.
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.pack_sequence_as(structure, list(values))


def takes_dict(model: keras.Model) -> bool:
    """Returns whether a model takes its inputs by name."""
    return not isinstance(model, keras.Sequential) and isinstance(model.input, dict)


def named_outputs(outputs) -> dict[str, Any]:
    """Returns a model's outputs by name: its own, or `output`, or `output_0`, `output_1`, …

    Outputs nested under one name are numbered: `own_0`, `own_1`, …
    """
    named = {}
    for name, value in (outputs if isinstance(outputs, dict) else {"output": outputs}).items():
        flat = keras.tree.flatten(value)
        names = [name] if len(flat) == 1 else [f"{name}_{index}" for index in range(len(flat))]
        named |= zip(names, flat, strict=True)
    return named


def outputs_of(model: keras.Model) -> dict[str, Any]:
    """Returns a model's output tensors by name."""
    # `output` of a sequential model is unset until it is called.
    sequential = isinstance(model, keras.Sequential)
    return named_outputs(model.outputs[0] if sequential else model.output)


def flat_outputs(outputs):
    """Returns outputs unchanged, or by name if nested, which signatures do not support."""
    values = outputs.values() if isinstance(outputs, dict) else outputs
    nests = isinstance(outputs, (dict, list, tuple)) and any(map(keras.tree.is_nested, values))
    return named_outputs(outputs) if nests else outputs


def new_inputs(model: keras.Model, batch_size: int | None = None, specs=None) -> dict[str, Any]:
    """Returns copies of a model's `keras.Input`s, by name."""
    return {
        name: keras.Input(batch_shape=(batch_size, *spec.shape[1:]), dtype=spec.type, name=name)
        for name, spec in (specs or input_specs(model)).items()
    }


def arrays_by_name(
    argument: str, specs: dict[str, InputSpec], data, ordered: bool = True
) -> dict[str, Any]:
    """Returns data for some inputs as arrays, or raises a ValueError that names the argument.

    Args:
        argument: Its name.
        specs: The inputs.
        data: A dict by name; a tuple or list in the order of `specs`; an array for one input.
        ordered: Whether several inputs may be given in a tuple.
    """
    if isinstance(data, dict):
        if set(data) != set(specs):
            raise _mismatch(argument, specs, f"names {', '.join(map(str, data))}")
        values = {name: data[name] for name in specs}
    elif len(specs) == 1:
        single = isinstance(data, tuple) and len(data) == 1
        values = dict.fromkeys(specs, data[0] if single else data)
    elif not ordered or not isinstance(data, (tuple, list)):
        raise _mismatch(argument, specs, _described(data), ordered)
    elif len(data) != len(specs):
        raise _mismatch(argument, specs, f"{len(data)} of them")
    else:
        values = dict(zip(specs, data, strict=True))
    arrays = {name: np.asarray(value) for name, value in values.items()}
    for name, spec in specs.items():
        _check_shape(argument if len(specs) == 1 else f"{argument}[{name!r}]", spec, arrays[name])
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        received = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(f"`{argument}` must have equally many of each input. Received: {received}")
    return arrays


def _check_shape(argument, spec, array):
    shape = spec.shape
    fits = len(shape) == array.ndim and all(
        size in (None, given) for size, given in zip(shape[1:], array.shape[1:], strict=True)
    )
    if not fits or not len(array):
        raise ValueError(f"`{argument}` must be {spec}. Received: shape {array.shape}")


def _mismatch(argument, specs, received, ordered=True):
    kinds = "a tuple or a dict" if ordered else "a dict"
    accepted = ", ".join(f"{name} {spec}" for name, spec in specs.items())
    return ValueError(
        f"`{argument}` must be {kinds} of one array for each input: {accepted}. "
        f"Received: {received}"
    )


def _described(data):
    shape = getattr(data, "shape", None)
    return type(data).__name__ if shape is None else f"an array of shape {tuple(shape)}"


def rows_of(arrays: dict[str, np.ndarray], start: int, stop: int) -> dict[str, np.ndarray]:
    """Returns some rows of each array; past the end, the last row is repeated."""
    return {name: _padded(array[start:stop], stop - start) for name, array in arrays.items()}


def _padded(array, count):
    return np.concatenate([array, np.repeat(array[-1:], count - len(array), axis=0)])


def count_of(arrays: dict[str, np.ndarray]) -> int:
    """Returns the number of rows of the arrays."""
    return len(next(iter(arrays.values())))
