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
    names = {code: name for name, code in vars(module.BuiltinOperator).items() if name.isupper()}
    model = module.ModelT.InitFromPackedBuf(content, 0)
    codes = [
        code.customCode.decode()
        if code.customCode
        else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    counts = Counter(codes[op.opcodeIndex] for graph in model.subgraphs for op in graph.operators)
    return dict(sorted(counts.items()))
