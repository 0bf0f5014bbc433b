"""LiteRT files as FlatBuffers: their operations, and compact writing."""

import functools
import json
from collections import Counter
from typing import Any

import numpy as np

from keras_residual.export.errors import ExportError


def schema():
    """Returns the module with the schema of LiteRT files."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise ImportError('LiteRT files need: pip install "keras-residual[export]"') from error
    return schema_py_generated


def operation_counts(content: bytes) -> dict[str, int]:
    """Returns how often each operation occurs; Flex and custom operations by their own names."""
    module, model = opened(content)
    codes = operation_names(module, model)
    counts = Counter(codes[op.opcodeIndex] for graph in model.subgraphs for op in graph.operators)
    return dict(sorted(counts.items()))


# The metadata entry in which this package stores its facts about the file.
FACTS = b"keras_residual"


def file_facts(content: bytes) -> dict[str, Any]:
    """Returns the facts that this package stored in a file, an empty dict for other files."""
    module = schema()
    try:
        model = module.Model.GetRootAs(content, 0)
        for index in range(model.MetadataLength()):
            entry = model.Metadata(index)
            if entry.Name() == FACTS:
                return json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    except Exception as error:
        raise ExportError("The file is truncated or not a LiteRT file.") from error
    return {}


# XNNPACK's limit on the ratio of scales before and after an operation; 16 bits are 256 finer.
_LARGEST_RATIO = {"int8": 256, "int16x8": 256 * 256}


_PRODUCTS, _SUMS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL"), ("ADD", "SUB")


def vanishing_outputs(content: bytes, quantization: str) -> list[str]:
    """Returns the outputs of a quantized file that have no usable scale.

    A layer whose output is zero for all representative data gets a range of 1e-6. Runtimes reject
    such a file, crash when they load it, or give wrong results once the output is not zero.
    """
    (module, model), found = opened(content), []
    codes, largest = operation_names(module, model), _LARGEST_RATIO[quantization]
    for graph in model.subgraphs:
        for op in graph.operators:
            kind, output = codes[op.opcodeIndex], graph.tensors[op.outputs[0]]
            if kind not in (*_PRODUCTS, *_SUMS) or len(op.inputs) < 2:
                continue
            first, second, result = (
                _scales(tensor) for tensor in (*(graph.tensors[i] for i in op.inputs[:2]), output)
            )
            if not (first and second and result):
                continue
            product = kind in _PRODUCTS
            scale = first[0] * max(second) if product else max(first[0], second[0])
            if scale >= largest * result[0]:
                found.append(output.name.decode().split(";")[0])
    return found


def _scales(tensor) -> list[float]:
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None:
        return []
    return [float(scale) for scale in parameters.scale]


def opened(content: bytes):
    """Returns the schema's module and a file parsed into its objects."""
    module = schema()
    return module, module.ModelT.InitFromPackedBuf(content, 0)


def operation_names(module, model) -> list[str]:
    """Returns the name of each of a file's operation codes."""
    names = {code: name for name, code in vars(module.BuiltinOperator).items() if name.isupper()}
    return [
        code.customCode.decode()
        if code.customCode
        else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]


def packed(model) -> bytes:
    """Serializes a model of the schema.

    Identical vectors are stored once: the zero points of kernels and biases, 8 zero bytes per
    channel, are otherwise a twentieth of a small quantized file. Tensors without data share the
    empty buffer.
    """
    used = [buffer.data is not None and len(buffer.data) > 0 for buffer in model.buffers]
    places = {old: new for new, old in enumerate(np.flatnonzero(used), start=1)}
    tensors = (tensor for graph in model.subgraphs for tensor in graph.tensors)
    for owner in (*tensors, *model.metadata):
        owner.buffer = places.get(owner.buffer, 0)
    data = [None, *(model.buffers[old].data for old in places)]
    model.buffers = [_AlignedBuffer(schema(), each) for each in data]
    builder = _sharing_builder()(sum(len(each) for each in data[1:]) + 65536)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@functools.cache
def _sharing_builder():
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):
        """Stores identical strings and identical vectors of numbers once."""

        def __init__(self, size):
            super().__init__(size)
            self._written = {}

        def CreateString(self, s, *options):
            return self._once(s, super().CreateString, s, *options)

        def CreateNumpyVector(self, x):
            return self._once((x.dtype.str, x.tobytes()), super().CreateNumpyVector, x)

        def _once(self, key, write, *values):
            if key not in self._written:
                self._written[key] = write(*values)
            return self._written[key]

    return SharingBuilder


class _AlignedBuffer:
    """A buffer aligned to 16 bytes, which the schema requires and Python's writer neglects."""

    def __init__(self, module, data):
        self._module, self._data = module, data

    def Pack(self, builder):
        if self._data is not None:
            data = np.asarray(self._data, np.uint8).tobytes()
            builder.StartVector(1, len(data), 16)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            vector = builder.EndVector()
        self._module.BufferStart(builder)
        if self._data is not None:
            self._module.BufferAddData(builder, vector)
        return self._module.BufferEnd(builder)
