"""LiteRT files as FlatBuffers: what operations they hold, and writing metadata into them."""

from collections import Counter


def schema():
    """Returns the module that reads and writes LiteRT files."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise ImportError('LiteRT files need: pip install "keras-residual[export]"') from error
    return schema_py_generated


def operation_counts(content: bytes) -> dict[str, int]:
    """Returns how often each operation occurs; Flex and custom operations by their own names."""
    module = schema()
    model = module.ModelT.InitFromPackedBuf(content, 0)
    codes = _codes(module, model)
    counts = Counter(codes[op.opcodeIndex] for graph in model.subgraphs for op in graph.operators)
    return dict(sorted(counts.items()))


# What XNNPACK takes as the ratio of scales before and after an operation; 16 bits are 256 finer.
_LARGEST_RATIO = {"int8": 256, "int16x8": 256 * 256}


def vanishing_outputs(content: bytes, quantization: str) -> list[str]:
    """Returns the outputs of a quantized file that have no usable scale.

    A layer that puts out zero for all representative data gets a range of 1e-6. Runtimes refuse
    such a file, or compute nonsense once the output is not zero.
    """
    module = schema()
    model, found = module.ModelT.InitFromPackedBuf(content, 0), []
    codes, largest = _codes(module, model), _LARGEST_RATIO[quantization]
    for graph in model.subgraphs:
        for op in graph.operators:
            if codes[op.opcodeIndex] not in ("CONV_2D", "FULLY_CONNECTED"):
                continue
            source, weight, *_ = (graph.tensors[index] for index in op.inputs)
            output = graph.tensors[op.outputs[0]]
            scales = [_scales(tensor) for tensor in (source, weight, output)]
            if all(scales) and scales[0][0] * max(scales[1]) >= largest * scales[2][0]:
                found.append(output.name.decode().split(";")[0])
    return found


def _scales(tensor) -> list[float]:
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None:
        return []
    return [float(scale) for scale in parameters.scale]


def _codes(module, model) -> list[str]:
    names = {code: name for name, code in vars(module.BuiltinOperator).items() if name.isupper()}
    return [
        code.customCode.decode()
        if code.customCode
        else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
