"""Edits of converted LiteRT files for which the converter has no option."""

from collections.abc import Sequence

import numpy as np

from keras_residual.export.errors import ExportError
from keras_residual.export.formats.litert.schema import opened, packed


def with_whole_pixels(content: bytes) -> bytes:
    """Returns a file whose uint8 input holds pixels: scale 1, zero point 0.

    The converter takes the scale from the representative pictures, which may lack black or white
    pixels. It can be replaced if only a subtraction, whose output has a scale of its own, reads the
    input; for a convolution the bias is rescaled too.
    """
    module, model = opened(content)
    codes = module.BuiltinOperator
    graph = model.subgraphs[0]
    follows = _chain(graph, graph.inputs[0])
    kinds = [_code(model, op) for op in follows]
    passing = {codes.QUANTIZE, codes.RESHAPE}
    changed = next((i for i, kind in enumerate(kinds) if kind not in passing), None)
    if changed is None or kinds[changed] not in (codes.SUB, codes.CONV_2D, codes.DEQUANTIZE):
        return content
    tensors = [graph.inputs[0], *(op.outputs[0] for op in follows[:changed])]
    before = graph.tensors[tensors[-1]].quantization.scale[0]
    for index in tensors:
        tensor = graph.tensors[index]
        tensor.quantization.scale = np.array([1.0], np.float32)
        zero = 0 if tensor.type == module.TensorType.UINT8 else -128
        tensor.quantization.zeroPoint = np.array([zero], np.int64)
    if kinds[changed] == codes.CONV_2D:
        _rescale_bias(model, graph, follows[changed], before)
    return packed(model)


def with_float_mean(content: bytes, mean: Sequence[float]) -> bytes:
    """Returns a file whose uint8 input holds pixels, and that subtracts the mean in floating point.

    With XNNPACK, dequantizing and quantizing is faster than LiteRT's own kernel that converts uint8
    to int8, and the difference is rounded only once.

    Args:
        content: A quantized file with a uint8 input.
        mean: The mean of each channel, empty if none is subtracted.
    """
    module, model = opened(content)
    codes, graph = module.BuiltinOperator, model.subgraphs[0]
    first, *follows = _chain(graph, graph.inputs[0])
    if _code(model, first) != codes.QUANTIZE:
        return with_whole_pixels(content)
    count = 0
    while count < len(follows) and _code(model, follows[count]) in (codes.RESHAPE, codes.SUB):
        count += 1
    _set_pixel_scale(graph.tensors[graph.inputs[0]])
    scaled = [first, *follows[:count]]
    last = int(scaled[-1].outputs[0])
    for before, op in zip([None, *scaled], scaled, strict=False):
        place = _float_tensor(module, graph, graph.tensors[op.outputs[0]])
        op.outputs = np.array([place], np.int32)
        if before is not None:
            op.inputs = np.array([before.outputs[0], *op.inputs[1:]], np.int32)
        if _code(model, op) == codes.SUB:
            op.opcodeIndex = _new_code(module, model, codes.SUB)
            values = np.tile(
                np.asarray(mean, np.float32), graph.tensors[op.inputs[1]].shape[-1] // 3
            )
            op.inputs = np.array([op.inputs[0], _constant(module, model, graph, values)], np.int32)
    first.opcodeIndex = _new_code(module, model, codes.DEQUANTIZE)
    first.builtinOptionsType = module.BuiltinOptions.DequantizeOptions
    first.builtinOptions = module.DequantizeOptionsT()
    back = module.OperatorT()
    back.opcodeIndex = _new_code(module, model, codes.QUANTIZE)
    back.inputs, back.outputs = scaled[-1].outputs, np.array([last], np.int32)
    back.builtinOptionsType = module.BuiltinOptions.QuantizeOptions
    back.builtinOptions = module.QuantizeOptionsT()
    place = max(graph.operators.index(op) for op in scaled) + 1
    graph.operators.insert(place, back)
    return packed(model)


def _float_tensor(module, graph, like, shape=None):
    tensor = module.TensorT()
    tensor.shape = like.shape if shape is None else np.array(shape, np.int32)
    tensor.shapeSignature = like.shapeSignature if shape is None else None
    tensor.type, tensor.buffer, tensor.name = module.TensorType.FLOAT32, 0, like.name
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _constant(module, model, graph, values):
    buffer = module.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    place = _float_tensor(module, graph, graph.tensors[graph.inputs[0]], values.shape)
    graph.tensors[place].buffer, graph.tensors[place].name = len(model.buffers) - 1, b"mean"
    return place


def _new_code(module, model, builtin):
    code = module.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _set_pixel_scale(tensor):
    tensor.quantization.scale = np.array([1.0], np.float32)
    tensor.quantization.zeroPoint = np.array([0], np.int64)


def _rescale_bias(model, graph, op, before):
    """Rescales a convolution's int32 bias to the new scale of its input."""
    if len(op.inputs) < 3 or op.inputs[2] < 0:
        return
    bias = graph.tensors[op.inputs[2]]
    buffer = model.buffers[bias.buffer]
    values = np.frombuffer(np.asarray(buffer.data, np.uint8).tobytes(), np.int32)
    changed = np.round(values * np.float64(before)).astype(np.int32)
    buffer.data = np.frombuffer(changed.tobytes(), np.uint8)
    bias.quantization.scale = np.asarray(bias.quantization.scale) / np.float32(before)


def _chain(graph, tensor):
    """Returns the chain of operations after a tensor, up to the first with several consumers."""
    found = []
    while True:
        takers = [op for op in graph.operators if tensor in list(op.inputs)]
        if len(takers) != 1 or len(takers[0].outputs) != 1:
            return found
        found.append(takers[0])
        tensor = takers[0].outputs[0]


def with_softmax(content: bytes) -> bytes:
    """Returns a file with a floating-point softmax after its only output."""
    module, model = opened(content)
    graph = model.subgraphs[0]
    (place,) = graph.outputs
    logits = graph.tensors[place]
    if logits.type != module.TensorType.FLOAT32:
        raise ExportError("A softmax in floating point needs logits in floating point.")
    output = module.TensorT()
    output.shape, output.shapeSignature = logits.shape, logits.shapeSignature
    output.type, output.buffer, output.name = logits.type, 0, logits.name
    logits.name = b"logits"
    graph.tensors.append(output)
    options, op = module.SoftmaxOptionsT(), module.OperatorT()
    options.beta = 1.0
    op.opcodeIndex = _new_code(module, model, module.BuiltinOperator.SOFTMAX)
    op.inputs = np.array([place], np.int32)
    op.outputs = np.array([len(graph.tensors) - 1], np.int32)
    op.builtinOptionsType, op.builtinOptions = module.BuiltinOptions.SoftmaxOptions, options
    graph.operators.append(op)
    graph.outputs = op.outputs
    for signature in model.signatureDefs or []:
        for entry in signature.outputs:
            entry.tensorIndex = int(op.outputs[0])
    return packed(model)


def _code(model, op):
    code = model.operatorCodes[op.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)
