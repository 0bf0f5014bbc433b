"""Finds the operations of a LiteRT file that the delegates on phones do not run, and why."""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_residual import _checks
from keras_residual._words import first_line
from keras_residual.export.errors import ExportError
from keras_residual.export.formats.litert.schema import opened, operation_names
from keras_residual.export.proof.delegate_tables import DELEGATES, MOST_DIMENSIONS, supported

_FLOATS = ("FLOAT32", "FLOAT16")
_REMEDIES = {
    "PADV2": 'a ReLU before the pooling (`activation="relu"`), or `pool_padding="zero"`',
    "dynamic": '`batch_size=1`, or `target="phone"`, and a fixed input size',
    "CONV_3D": '`VideoResNet("factorized")`, which has only 2-D convolutions,',
    "dimensions": '`batch_size=1`, for clips `target="phone"`, or a 2-D network',
    "integers": 'quantization="int8", for phones with outputs="uint8",',
    "int16": 'quantization="int8"',
    "WHILE": "`export.lstm`, which writes fused or unrolled loops",
    "version": "a LiteRT release whose delegate supports that version",
}


@dataclass(frozen=True)
class Refusal:
    """Operations of a file that a delegate does not run, which fall back to LiteRT's CPU kernels.

    Attributes:
        delegate: `"xnnpack"`, `"gpu"`, `"nnapi"` or `"edgetpu"`.
        operation: Name of the operation.
        layer: Name of the layer that the first of them comes from; empty if the file has no names.
        count: Number of these operations.
        reason: What the delegate does not support.
        remedy: How to avoid it; empty if there is no way.
    """

    delegate: str
    operation: str
    layer: str
    count: int
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f" of {self.layer}" if self.layer else ""
        more = f" and {self.count - 1} more" if self.count > 1 else ""
        remedy = f"; {self.remedy} avoids it" if self.remedy else ""
        return f"{self.delegate}: {self.operation}{place}{more}: {self.reason}{remedy}"


def lint(path: str | os.PathLike[str], delegates: Sequence[str] = DELEGATES) -> tuple[Refusal, ...]:
    """Returns the operations of a LiteRT file that the delegates on phones do not run.

    Integer files are written without layer names; `export` checks a file before the names are
    removed, and lists them in the card.

    Args:
        path: A LiteRT file.
        delegates: Some of `"xnnpack"` (CPU), `"gpu"`, `"nnapi"` and `"edgetpu"`. Defaults to all.

    Raises:
        ExportError: If the file cannot be read.
        ValueError: If a delegate is none of the four.

    Example:

    >>> for refusal in lint("exported/model.tflite", ["gpu"]):  # doctest: +SKIP
    ...     print(refusal)
    """
    for delegate in delegates:
        _checks.choice("delegates", delegate, DELEGATES)
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist.")
    content = path.read_bytes()
    try:
        return refusals(content, delegates)
    except (struct.error, ValueError, IndexError, TypeError) as error:
        raise ExportError(f"{path} is not a LiteRT file ({first_line(error)}).") from error


def refusals(content: bytes, delegates: Sequence[str] = DELEGATES) -> tuple[Refusal, ...]:
    """Returns the operations of a LiteRT file that delegates do not run, see `lint`.

    Args:
        content: The content of the file.
        delegates: Some of the four.
    """
    module, model = opened(content)
    types = {value: name for name, value in vars(module.TensorType).items() if name.isupper()}
    names, found = operation_names(module, model), {}
    for graph in model.subgraphs:
        for op in graph.operators:
            tensors = [graph.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
            node = _Node(
                names[op.opcodeIndex],
                model.operatorCodes[op.opcodeIndex].version,
                [types[tensor.type] for tensor in tensors],
                [_shape(tensor) for tensor in tensors],
                _layer(graph.tensors[op.outputs[0]]),
                *(_slicing(model, graph, op) if names[op.opcodeIndex] == "STRIDED_SLICE" else ()),
            )
            for delegate in delegates:
                refused = _refused(delegate, node)
                if refused is not None:
                    key = (delegate, node.name, *refused)
                    layer, count = found.get(key, (node.layer, 0))
                    found[key] = (layer, count + 1)
    return tuple(
        Refusal(delegate, name, layer, count, reason, remedy)
        for (delegate, name, reason, remedy), (layer, count) in found.items()
    )


@dataclass(frozen=True)
class _Node:
    name: str
    version: int
    types: list[str]
    shapes: list[tuple[int, ...]]
    layer: str
    drops_axes: bool = False
    has_steps: bool = False


def _shape(tensor):
    shape = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    return () if shape is None else tuple(int(size) for size in shape)


def _layer(tensor):
    """Returns the path of the layer that a tensor comes from, by its name in the file."""
    name = (tensor.name or b"").decode(errors="replace").split(";")[0]
    # Outputs are named by the signature.
    if name.startswith("StatefulPartitionedCall"):
        return ""
    parts = [part for part in name.split("/") if part]
    return "/".join(parts[1:-1]) if len(parts) > 2 else name


def _refused(delegate, node):
    """Returns reason and remedy if a delegate does not run a node, else `None`."""
    for check in (_operation, _dimensions, _dynamic, _type, _version, _broadcast, _slice, _joined):
        found = check(delegate, node)
        if found is not None:
            return found
    return None


def _operation(delegate, node):
    if (delegate, node.name) not in supported():
        return "not supported", _REMEDIES.get(node.name, "")
    return None


def _dimensions(delegate, node):
    most = MOST_DIMENSIONS[delegate]
    largest = max(map(len, node.shapes), default=0)
    if largest > most:
        return f"a tensor of {largest} dimensions, at most {most}", _REMEDIES["dimensions"]
    return None


def _dynamic(delegate, node):
    # XNNPACK is set up after the interpreter has resolved all sizes.
    if delegate != "xnnpack" and any(size < 0 for shape in node.shapes for size in shape):
        return "a dynamic size", _REMEDIES["dynamic"]
    return None


def _type(delegate, node):
    floating = any(kind in _FLOATS for kind in node.types)
    if "INT16" in node.types:
        return "16-bit integers", _REMEDIES["int16"]
    if delegate == "xnnpack" and node.types[-1] in ("INT32", "INT64", "BOOL"):
        return "unquantized integers", ""
    if delegate == "edgetpu" and floating:
        return "floating point", _REMEDIES["integers"]
    if not floating and supported()[delegate, node.name].float_only:
        return "8-bit integers", ""
    return None


def _version(delegate, node):
    most = supported()[delegate, node.name].version
    if most is not None and node.version > most:
        return f"version {node.version}, at most {most}", _REMEDIES["version"]
    return None


def _broadcast(delegate, node):
    """Checks the only three cases in which the GPU delegate broadcasts over different ranks."""
    if delegate != "gpu" or node.name not in ("ADD", "MUL"):
        return None
    short, long = sorted(node.shapes[:2], key=len)
    if len(short) < 2 or len(short) == len(long):
        return None
    if len(long) == 4 and len(short) == 3 and long[0] == 1:
        return None
    single = long[0] == 1 and short == (1, 1)
    if len(long) == 4 and len(short) == 2 and (single or short == (long[0], long[3])):
        return None
    return f"operands of shapes {list(long)} and {list(short)}", "giving both the same rank"


def _slicing(model, graph, op):
    """Returns whether a slice drops or adds axes, and whether it has steps other than 1."""
    options = op.builtinOptions
    masks = options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask
    data = model.buffers[graph.tensors[op.inputs[3]].buffer].data
    steps = np.frombuffer(np.asarray([] if data is None else data, np.uint8).tobytes(), np.int32)
    return bool(masks), bool((steps != 1).any())


def _slice(delegate, node):
    if delegate in ("xnnpack", "gpu") and node.drops_axes:
        return "a slice that drops or adds axes", "slicing with size 1 and reshaping"
    if delegate == "xnnpack" and node.has_steps:
        return "a slice with steps", ""
    return None


_MOST_JOINED = 5


def _joined(delegate, node):
    count = len(node.shapes) - 1
    if delegate == "xnnpack" and node.name == "CONCATENATION" and count > _MOST_JOINED:
        return f"{count} tensors, at most {_MOST_JOINED}", "several concatenations"
    return None
