"""Int8 files whose normalizations by statistics of their inputs are computed in floating point.

Group and layer normalization divide by a deviation that differs from group to group by orders of
magnitude. 8 bits with one scale for a whole tensor keep the largest alone: the square root of a
small variance is then off by a multiple, and so is everything it divides.
"""

import warnings
from typing import Any

import numpy as np

from keras_residual.export.formats.litert.schema import opened, operation_names, packed

# A root stands for a deviation; what leads to it and from it belongs to the same normalization.
_ROOTS = ("RSQRT", "SQRT")
_PARTS = (*_ROOTS, "MEAN", "SUM", "SUB", "MUL", "DIV", "SQUARE", "SQUARED_DIFFERENCE", "NEG")
_PARTS += ("RESHAPE", "LOGISTIC")


def has_statistics(content: bytes) -> bool:
    """Returns whether a file computes deviations."""
    module, model = opened(content)
    names = operation_names(module, model)
    used = {names[op.opcodeIndex] for graph in model.subgraphs for op in graph.operators}
    return not used.isdisjoint(_ROOTS)


def with_float_statistics(converter: Any) -> bytes:
    """Returns an int8 file in which what belongs to a deviation is left in floating point.

    Its inputs and outputs are in floating point.

    Args:
        converter: A TensorFlow converter with representative data, which is of no use afterwards.
    """
    import tensorflow as tf

    tools = tf.lite.experimental
    with warnings.catch_warnings():
        # It uses a deprecated interpreter and a deprecated function of TensorFlow.
        warnings.simplefilter("ignore")
        debugger = tools.QuantizationDebugger(
            converter=converter,
            debug_dataset=converter.representative_dataset,
            debug_options=tools.QuantizationDebugOptions(),
        )
        names = _parts_of_statistics(debugger.calibrated_model)
        debugger.options = tools.QuantizationDebugOptions(denylisted_nodes=names)
        return debugger.get_nondebug_quantized_model()


def _parts_of_statistics(content):
    """Returns the names of what is computed for, and by, the deviations of a file."""
    module, model = opened(content)
    kinds, found = operation_names(module, model), []
    for graph in model.subgraphs:
        ops = graph.operators
        near = [_is_part(kinds[op.opcodeIndex], model, graph, op) for op in ops]
        reached = [kinds[op.opcodeIndex] in _ROOTS for op in ops]
        touched = {
            int(i) for op, is_in in zip(ops, reached, strict=True) if is_in for i in _ends(op)
        }
        grows = True
        while grows:
            grows = False
            for place, op in enumerate(ops):
                ends = [i for i in _ends(op) if not _is_constant(model, graph, i)]
                if near[place] and not reached[place] and not touched.isdisjoint(ends):
                    reached[place] = grows = True
                    touched.update(ends)
        for op, is_in in zip(ops, reached, strict=True):
            found += [graph.tensors[i].name.decode() for i in op.outputs] if is_in else []
    return found


def _ends(op):
    return [int(index) for index in (*op.inputs, *op.outputs) if index >= 0]


def _is_constant(model, graph, index):
    data = model.buffers[graph.tensors[index].buffer].data
    return data is not None and len(data) > 0


def _is_part(kind, model, graph, op):
    # Of additions those of a constant: an epsilon or an offset, not a shortcut.
    return kind in _PARTS or (
        kind == "ADD" and any(_is_constant(model, graph, int(i)) for i in op.inputs)
    )


def with_integer_ends(content: bytes, input_type: str | None, output_type: str | None) -> bytes:
    """Returns a file that takes and gives integers in place of what it converts itself.

    Args:
        content: An int8 file that quantizes its inputs and dequantizes its outputs.
        input_type: `"int8"`, `"uint8"` or `None` for floating point.
        output_type: The same for its outputs.
    """
    module, model = opened(content)
    names, graph = operation_names(module, model), model.subgraphs[0]
    for op in graph.operators:
        kind, source, target = names[op.opcodeIndex], int(op.inputs[0]), int(op.outputs[0])
        if kind == "QUANTIZE" and source in graph.inputs and input_type is not None:
            _become(module, graph.tensors[source], graph.tensors[target], input_type)
        if kind == "DEQUANTIZE" and target in graph.outputs and output_type is not None:
            _become(module, graph.tensors[target], graph.tensors[source], output_type)
            op.opcodeIndex = _quantize_code(module, model, names)
            op.builtinOptionsType = module.BuiltinOptions.QuantizeOptions
            op.builtinOptions = module.QuantizeOptionsT()
    return packed(model)


def _become(module, tensor, like, kind):
    """Gives a tensor the scale of another one of int8; uint8 is shifted by 128."""
    shift = 128 if kind == "uint8" else 0
    tensor.type = getattr(module.TensorType, kind.upper())
    tensor.quantization = module.QuantizationParametersT()
    tensor.quantization.scale = np.array(like.quantization.scale, np.float32)
    tensor.quantization.zeroPoint = np.array(like.quantization.zeroPoint, np.int64) + shift


def _quantize_code(module, model, names):
    for index, name in enumerate(names):
        if name == "QUANTIZE":
            return index
    raise AssertionError("An int8 file without QUANTIZE.")
