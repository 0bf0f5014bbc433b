"""What the delegates of phones would leave to the slow path of a LiteRT file, and why.

The tables are those of the runtime: the operators that XNNPACK's delegate names, the GPU delegate's
operators with the largest version of each that it reads, the operations of Android's NNAPI 1.3, and
Coral's list for the Edge TPU.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_residual import _checks
from keras_residual._words import first_line
from keras_residual.export.errors import ExportError
from keras_residual.export.formats.litert.schema import opened, operation_names

DELEGATES = ("xnnpack", "gpu", "nnapi", "edgetpu")

_ELEMENTWISE = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
_ACTIVATIONS = ("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "ELU", "LEAKY_RELU", "PRELU")
_SHAPES = ("RESHAPE", "TRANSPOSE", "CONCATENATION", "SLICE", "STRIDED_SLICE", "SPLIT", "PAD")
_SPATIAL = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "AVERAGE_POOL_2D", "MAX_POOL_2D")
_SPATIAL += ("RESIZE_BILINEAR", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
_OTHERS = ("FULLY_CONNECTED", "MEAN", "SUM", "SOFTMAX", "QUANTIZE", "DEQUANTIZE")
_COMMON = {*_ELEMENTWISE, *_ACTIVATIONS, *_SHAPES, *_SPATIAL, *_OTHERS}
_UNARY = {"ABS", "CEIL", "COS", "DIV", "EXP", "FLOOR", "GELU", "HARD_SWISH", "LOG", "NEG", "ROUND"}
_UNARY |= {"RSQRT", "SIN", "SQRT", "SQUARE"}

_OPERATIONS = {
    "xnnpack": _COMMON | _UNARY | {"BATCH_MATMUL", "EXPAND_DIMS"},
    "gpu": (_COMMON | _UNARY | {"PADV2", "MIRROR_PAD", "LSTM", "CAST", "TILE", "PACK", "POW"})
    - {"CEIL", "ROUND", "GELU"},
    "nnapi": _COMMON
    | {"ABS", "DIV", "EXP", "EXPAND_DIMS", "FLOOR", "HARD_SWISH", "LOG", "NEG", "PADV2", "POW"}
    | {"RSQRT", "SQRT", "SQUEEZE", "TILE", "GATHER", "UNIDIRECTIONAL_SEQUENCE_LSTM"},
    "edgetpu": (_COMMON - {"ELU", "LEAKY_RELU", "DEPTH_TO_SPACE", "SQUARED_DIFFERENCE"})
    | {"EXPAND_DIMS", "L2_NORMALIZATION", "PACK", "RSQRT", "SQUEEZE"},
}
# What XNNPACK has in floating point alone; the plain kernel of LiteRT takes them in integers.
_XNNPACK_FLOAT_ONLY = {"SOFTMAX", "PRELU", "SUM", "GELU", "HARD_SWISH", *_UNARY}
# The largest version of an operation that the delegate reads.
_VERSIONS = {
    "gpu": {
        **dict.fromkeys(("ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION", "PAD"), 2),
        **dict.fromkeys(("RELU", "SOFTMAX", "SLICE", "QUANTIZE", "SPACE_TO_DEPTH"), 2),
        **dict.fromkeys(("MUL", "SUB", "DEQUANTIZE", "RESIZE_BILINEAR", "TRANSPOSE_CONV"), 3),
        "CONV_2D": 6,
        "DEPTHWISE_CONV_2D": 6,
        "FULLY_CONNECTED": 9,
        "RESHAPE": 1,
    },
    "nnapi": {
        **dict.fromkeys(("ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION", "PAD"), 2),
        **dict.fromkeys(("MEAN", "SOFTMAX", "MUL"), 2),
        "SUB": 3,
        "RESHAPE": 1,
        "CONV_2D": 5,
        "DEPTHWISE_CONV_2D": 5,
        "FULLY_CONNECTED": 5,
    },
}
_MOST_DIMENSIONS = {"xnnpack": 6, "gpu": 4, "nnapi": 4, "edgetpu": 4}
_FLOATS = ("FLOAT32", "FLOAT16")
_REMEDIES = {
    "PADV2": 'a ReLU before the pooling (`activation="relu"`), or `pool_padding="zero"`',
    "dynamic": '`batch_size=1`, or `target="phone"`, and a fixed size of the input',
    "CONV_3D": '`VideoResNet("factorized")`, which has 2-D convolutions alone,',
    "dimensions": "a network of two spatial axes",
    "integers": 'quantization="int8", for phones with outputs="uint8",',
    "int16": 'quantization="int8"',
    "WHILE": "`export.lstm`, which writes fused or unrolled loops",
    "version": "the newest runtime in the app, where the delegate reads it",
}


@dataclass(frozen=True)
class Refusal:
    """Operations of a file that a delegate leaves to LiteRT's own kernels.

    Attributes:
        delegate: `"xnnpack"`, `"gpu"`, `"nnapi"` or `"edgetpu"`.
        operation: Name of the operation.
        layer: The layer that made the first of them, as the file names it; empty if it does not.
        count: How many there are.
        reason: What the delegate does not take.
        remedy: What avoids it; empty if nothing does.
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
    """Returns what the delegates of phones would not take of a LiteRT file.

    Files of integers are written without the names of layers; `export` looks at them before, and
    the card beside a file has them.

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
        raise ExportError(f"{path} is no LiteRT file ({first_line(error)}).") from error


def refusals(content: bytes, delegates: Sequence[str] = DELEGATES) -> tuple[Refusal, ...]:
    """Returns what each delegate would not take of a LiteRT file.

    Args:
        content: The file.
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


def _shape(tensor):
    shape = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    return () if shape is None else tuple(int(size) for size in shape)


def _layer(tensor):
    """Returns the path of the layer that made a tensor, from its name in the file."""
    name = (tensor.name or b"").decode(errors="replace").split(";")[0]
    # Outputs are named by the signature.
    if name.startswith("StatefulPartitionedCall"):
        return ""
    parts = [part for part in name.split("/") if part]
    return "/".join(parts[1:-1]) if len(parts) > 2 else name


def _refused(delegate, node):
    """Returns reason and remedy if a delegate does not take a node, else `None`."""
    for check in (_operation, _dimensions, _dynamic, _type, _version):
        found = check(delegate, node)
        if found is not None:
            return found
    return None


def _operation(delegate, node):
    if node.name not in _OPERATIONS[delegate]:
        return "not among its operations", _REMEDIES.get(node.name, "")
    return None


def _dimensions(delegate, node):
    most = _MOST_DIMENSIONS[delegate]
    largest = max(map(len, node.shapes), default=0)
    if largest > most:
        return f"a tensor of {largest} dimensions, at most {most}", _REMEDIES["dimensions"]
    return None


def _dynamic(delegate, node):
    # XNNPACK reads the sizes that the interpreter was given.
    if delegate != "xnnpack" and any(size < 0 for shape in node.shapes for size in shape):
        return "a size that is only known when it runs", _REMEDIES["dynamic"]
    return None


def _type(delegate, node):
    floating = any(kind in _FLOATS for kind in node.types)
    if "INT16" in node.types:
        return "16-bit integers", _REMEDIES["int16"]
    if delegate == "edgetpu" and floating:
        return "floating point", _REMEDIES["integers"]
    if delegate == "xnnpack" and not floating and node.name in _XNNPACK_FLOAT_ONLY:
        return "8-bit integers", ""
    return None


def _version(delegate, node):
    most = _VERSIONS.get(delegate, {}).get(node.name)
    if most is not None and node.version > most:
        return f"version {node.version}, at most {most}", _REMEDIES["version"]
    return None
