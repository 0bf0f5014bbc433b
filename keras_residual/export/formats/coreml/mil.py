"""Evaluates a Core ML program, operation by operation, without Apple's runtime.

coremltools folds constants by evaluating operations ("value inference"). Here, each operation gets
its actual inputs as constants and is evaluated the same way. Convolutions, pooling and a few other
operations that coremltools cannot evaluate are computed with NumPy.
"""

from pathlib import Path
from typing import Any

import numpy as np

from keras_residual.export.errors import ExportError


class Program:
    """The program of a package.

    Args:
        spec: The package's specification.
        weights: The folder of its weights.
    """

    def __init__(self, spec: Any, weights: Path):
        from coremltools.converters.mil.frontend.milproto.load import load

        program = load(spec, spec.specificationVersion, str(weights))
        (self._function,) = program.functions.values()

    @property
    def input_names(self) -> list[str]:
        """Names of its inputs, in order."""
        return list(self._function.inputs)

    def operation_kinds(self) -> list[str]:
        """Returns the kinds of its operations in order, without constants."""
        kinds = (operation.op_type for operation in self._function.operations)
        return [kind for kind in kinds if kind != "const" and not kind.startswith("constexpr_")]

    def __call__(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Returns the outputs for one batch, in order; for a classifier, the probabilities."""
        values = {}
        for name, variable in self._function.inputs.items():
            values[variable.name] = np.asarray(inputs[name])
        for operation in self._function.operations:
            outputs = self._outputs(operation, values)
            for variable, value in zip(operation.outputs, outputs, strict=False):
                values[variable.name] = value
        found = []
        for variable in self._function.outputs:
            if variable.op.op_type == "classify":
                variable = variable.op.inputs["probabilities"]
                found = []
            found.append(_value(variable, values))
        return found

    def _outputs(self, operation, values):
        kind = operation.op_type
        if kind in ("const", "classify"):
            return []
        if kind.startswith("constexpr_"):
            return [operation.materialized_val_inference()]
        given = {name: _value(each, values) for name, each in operation.inputs.items()}
        # The builder accepts Python's `bool` only.
        given = {
            name: bool(value) if isinstance(value, np.bool_) else value
            for name, value in given.items()
            if value is not None
        }
        if kind in _COMPUTED:
            dtype = given["x"].dtype
            return [np.asarray(_COMPUTED[kind](**given)).astype(dtype)]
        return self._inferred(operation, given)

    def _inferred(self, operation, given):
        from coremltools.converters.mil.mil import Builder, Function

        with Function({}, opset_version=self._function.opset_version):
            outputs = getattr(Builder, operation.op_type)(**given)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        if any(output.val is None for output in outputs):
            raise ExportError(f"The operation {operation.op_type} cannot be evaluated here.")
        return [np.asarray(output.val) for output in outputs]


def _value(variable, values):
    if isinstance(variable, (list, tuple)):
        return [_value(each, values) for each in variable]
    return values.get(variable.name, variable.val)


def _convolve(
    x, weight, strides=None, pad_type="valid", pad=None, dilations=None, groups=1, bias=None
):
    rank = x.ndim - 2
    strides, dilations = _each(strides, rank), _each(dilations, rank)
    spans = [(size - 1) * rate + 1 for size, rate in zip(weight.shape[2:], dilations, strict=True)]
    x = _padded(x.astype(np.float32), spans, strides, pad_type, pad, 0.0)
    windows = _windows(x, spans, strides)[(..., *(slice(None, None, rate) for rate in dilations))]
    parts = np.split(windows, groups, 1), np.split(weight.astype(np.float32), groups)
    axes = [1, *range(2 + rank, 2 + 2 * rank)], range(1, 2 + rank)
    found = [np.tensordot(part, kernel, axes) for part, kernel in zip(*parts, strict=True)]
    y = np.moveaxis(np.concatenate(found, -1), -1, 1)
    return y if bias is None else y + np.reshape(bias, (-1, *[1] * rank))


def _max_pool(x, kernel_sizes, strides=None, pad_type="valid", pad=None, ceil_mode=False):
    _no_ceil_mode(ceil_mode)
    steps = _each(strides, x.ndim - 2)
    x = _padded(x, kernel_sizes, steps, pad_type, pad, -np.inf)
    return _windows(x, kernel_sizes, steps).max(tuple(range(-len(kernel_sizes), 0)))


def _avg_pool(
    x,
    kernel_sizes,
    strides=None,
    pad_type="valid",
    pad=None,
    exclude_padding_from_average=False,
    ceil_mode=False,
):
    _no_ceil_mode(ceil_mode)
    steps, axes = _each(strides, x.ndim - 2), tuple(range(-len(kernel_sizes), 0))

    def totals(values):
        padded = _padded(values, kernel_sizes, steps, pad_type, pad, 0.0)
        return _windows(padded, kernel_sizes, steps).sum(axes)

    sums = totals(x.astype(np.float32))
    if exclude_padding_from_average:
        return sums / totals(np.ones_like(x, np.float32))
    return sums / np.prod(kernel_sizes)


def _batch_norm(x, mean, variance, gamma=None, beta=None, epsilon=1e-5):
    shape = (-1, *[1] * (x.ndim - 2))
    scale = np.float32(1) if gamma is None else gamma.astype(np.float32)
    scale = scale / np.sqrt(variance.astype(np.float32) + epsilon)
    y = (x - mean.reshape(shape)) * scale.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


def _depth_to_space(x, block_size):
    count, channels, height, width = x.shape
    parts = x.reshape(count, block_size, block_size, -1, height, width)
    parts = parts.transpose(0, 3, 4, 1, 5, 2)
    return parts.reshape(count, channels // block_size**2, height * block_size, -1)


def _silu(x):
    return x / (1 + np.exp(-x.astype(np.float32)))


_COMPUTED = {
    "conv": _convolve,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "batch_norm": _batch_norm,
    "depth_to_space": _depth_to_space,
    "silu": _silu,
}


def _each(values, rank):
    return (1,) * rank if values is None else tuple(int(value) for value in values)


def _padded(x, spans, strides, pad_type, pad, value):
    pads = [(0, 0)] * 2
    for index, (span, step) in enumerate(zip(spans, strides, strict=True)):
        if pad_type == "custom":
            pads.append(tuple(int(each) for each in pad[2 * index : 2 * index + 2]))
        elif pad_type == "valid":
            pads.append((0, 0))
        else:
            size = x.shape[2 + index]
            total = max(0, (-(-size // step) - 1) * step + int(span) - size)
            less, more = total // 2, total - total // 2
            pads.append((less, more) if pad_type == "same" else (more, less))
    return np.pad(x, pads, constant_values=value)


def _windows(x, spans, strides):
    axes = tuple(range(2, 2 + len(spans)))
    windows = np.lib.stride_tricks.sliding_window_view(x, tuple(map(int, spans)), axes)
    return windows[(slice(None), slice(None), *(slice(None, None, step) for step in strides))]


def _no_ceil_mode(ceil_mode):
    if ceil_mode:
        raise ExportError("Pooling with `ceil_mode` cannot be evaluated here.")
