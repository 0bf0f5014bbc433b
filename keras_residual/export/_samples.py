"""Converts representative data of any kind to arrays by the names of a model's inputs."""

from collections.abc import Iterable

import keras
import numpy as np

from keras_residual._words import counted
from keras_residual.export._signature import InputSpec, arrays_by_name, takes_dict


def fitting(
    argument: str, model: keras.Model, specs: dict[str, InputSpec], data, most: int | None = None
) -> dict[str, np.ndarray]:
    """Returns data for a model converted to the types of its inputs, or raises a ValueError.

    Args:
        argument: Its name.
        model: The model.
        specs: Its inputs.
        data: As `gathered` takes them.
        most: Largest number of inputs read from a stream, `None` for all.
    """
    data = gathered(argument, specs, data, most)
    arrays = arrays_by_name(argument, specs, data, ordered=not takes_dict(model))
    for name, spec in specs.items():
        given = arrays[name].dtype
        kind = "f" if given.name == "bfloat16" else given.kind
        if kind not in ("biuf" if spec.is_floating else "biu"):
            raise ValueError(
                f"`{argument}` must hold numbers that {spec.type} holds. Received: {given}"
            )
        if not spec.is_floating:
            _check_range(argument, arrays[name], spec.type)
        with np.errstate(over="ignore"):
            to = "float32" if spec.is_floating else spec.type
            arrays[name] = arrays[name].astype(to, copy=False)
    return arrays


def _check_range(argument, array, wanted):
    """Raises if whole numbers would become others in a smaller type."""
    low, high = (0, 1) if wanted == "bool" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
    if array.size and (array.min() < low or array.max() > high):
        raise ValueError(
            f"`{argument}` must hold numbers that {wanted} holds. Received: numbers "
            f"{array.min()}..{array.max()}"
        )


def gathered(argument: str, specs: dict[str, InputSpec], data, most: int | None):
    """Returns arrays unchanged, and the first inputs of a stream gathered into arrays.

    Args:
        argument: Its name in errors.
        specs: The model's inputs.
        data: Arrays, which are returned unchanged; a `tf.data.Dataset`, a `PyDataset`, an
            iterable of batches or single inputs, or a function without arguments that returns one,
            as TFLite's converter takes. It yields an array, a tuple or list in the order of the
            inputs, or a dict by name; the labels in `(inputs, labels)` are dropped.
        most: Largest number of inputs to read, `None` for all.
    """
    if callable(data) and not hasattr(data, "__array__"):
        data = data()
    if not _is_stream(data, specs):
        return data
    parts, count = [], 0
    for item in _items(data):
        part = _batch(argument, specs, item)
        parts.append(part)
        count += len(next(iter(part.values())))
        if most is not None and count >= most:
            break
    if not parts:
        raise ValueError(f"`{argument}` must yield some inputs. Received: nothing from {data!r}")
    try:
        return {name: np.concatenate([part[name] for part in parts])[:most] for name in specs}
    except ValueError as error:
        shapes = sorted({part[name].shape[1:] for part in parts for name in specs})
        raise ValueError(
            f"`{argument}` must yield inputs of one size. Received: {shapes}"
        ) from error


def _is_stream(data, specs):
    if data is None or isinstance(data, (dict, str, bytes)) or hasattr(data, "__array__"):
        return False
    if isinstance(data, tuple):
        return False
    if isinstance(data, list):
        # A generator for TFLite, gathered in a list, is a list of lists of arrays.
        return bool(data) and isinstance(data[0], (list, tuple, dict)) and len(data) != len(specs)
    return isinstance(data, Iterable) or hasattr(data, "__getitem__")


def _items(data):
    if hasattr(data, "as_numpy_iterator"):
        return data.as_numpy_iterator()
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[index] for index in range(len(data)))
    return iter(data)


def _batch(argument, specs, item):
    if isinstance(item, (tuple, list)):
        given = list(item)
        # (inputs, labels) or (inputs, labels, sample weights), as `fit` takes them.
        if len(given) != len(specs) and isinstance(item, tuple) and len(given) in (2, 3):
            return _batch(argument, specs, given[0])
        if len(given) == len(specs):
            item = dict(zip(specs, given, strict=True))
        else:
            item = np.asarray(item)
    values = item if isinstance(item, dict) else dict.fromkeys(specs, item)
    if isinstance(item, dict) and set(item) >= set(specs):
        values = {name: _with_batch(item[name], spec) for name, spec in specs.items()}
    elif len(specs) == 1 and not isinstance(item, dict):
        values = {name: _with_batch(values[name], spec) for name, spec in specs.items()}
    return arrays_by_name(argument, specs, values)


def _with_batch(value, spec):
    array = np.asarray(value)
    return array[None] if array.ndim == len(spec.shape) - 1 else array


def check_finite(argument: str, arrays: dict[str, np.ndarray]) -> None:
    """Raises a ValueError that locates NaN or infinite values."""
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            continue
        finite = np.isfinite(array.reshape(len(array), -1)).all(1)
        if not finite.all():
            where = f"`{argument}`" if len(arrays) == 1 else f"`{argument}[{name!r}]`"
            kind = "NaN" if np.isnan(array).any() else "infinite values"
            raise ValueError(
                f"{where} must be finite. Received: {kind} in {int((~finite).sum())} of "
                f"{counted(len(array), 'input')}, the first at position {int(np.argmin(finite))}"
            )
