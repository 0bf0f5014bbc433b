"""The operations of a file that XNNPACK takes, as reported by the runtime.

TensorFlow's `Analyzer` has a check for the GPU delegate; that of 2.21 accepts even CONV_3D.
"""

from collections import Counter


def left_by_xnnpack(content: bytes) -> Counter:
    """Returns the operations that stay outside XNNPACK's delegate when a file is loaded."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    makers = {}
    for operation in interpreter._get_ops_details():
        for tensor in operation["outputs"]:
            # A delegate's node makes again what the nodes that it replaced made.
            makers[int(tensor)] = operation
    found, waiting = {}, [details["index"] for details in interpreter.get_output_details()]
    seen = set()
    while waiting:
        tensor = int(waiting.pop())
        operation = makers.get(tensor)
        if operation is None or tensor in seen:
            continue
        seen.add(tensor)
        found[operation["index"]] = operation["op_name"]
        waiting += [index for index in operation["inputs"] if index >= 0]
    names = found.values()
    return Counter(name for name in names if "DELEGATE" not in name.upper())
