"""Changes to converted LiteRT files that the converter has no option for."""

import numpy as np

from keras_residual.export.errors import ExportError
from keras_residual.export.formats.litert.schema import opened, packed


def with_whole_pixels(content: bytes) -> bytes:
    """Returns a file whose uint8 input is pixels: scale 1, zero point 0.

    The converter takes the scale from the representative pictures, which need not have a black and
    a white pixel. It is changed where nothing is computed with it but a subtraction, which has its
    own scale at its output; a convolution has the scale in its bias as well.
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


def _rescale_bias(model, graph, op, before):
    """Writes a convolution's bias, 32-bit integers, in units of the new scale of its input."""
    if len(op.inputs) < 3 or op.inputs[2] < 0:
        return
    bias = graph.tensors[op.inputs[2]]
    buffer = model.buffers[bias.buffer]
    values = np.frombuffer(np.asarray(buffer.data, np.uint8).tobytes(), np.int32)
    changed = np.round(values * np.float64(before)).astype(np.int32)
    buffer.data = np.frombuffer(changed.tobytes(), np.uint8)
    bias.quantization.scale = np.asarray(bias.quantization.scale) / np.float32(before)


def _chain(graph, tensor):
    """Returns the operations behind a tensor as long as each has one taker."""
    found = []
    while True:
        takers = [op for op in graph.operators if tensor in list(op.inputs)]
        if len(takers) != 1 or len(takers[0].outputs) != 1:
            return found
        found.append(takers[0])
        tensor = takers[0].outputs[0]


def with_softmax(content: bytes) -> bytes:
    """Returns a file with a softmax, in floating point, behind its only output."""
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
    code, options, op = module.OperatorCodeT(), module.SoftmaxOptionsT(), module.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = module.BuiltinOperator.SOFTMAX
    code.version, options.beta = 1, 1.0
    model.operatorCodes.append(code)
    op.opcodeIndex, op.inputs = len(model.operatorCodes) - 1, np.array([place], np.int32)
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
