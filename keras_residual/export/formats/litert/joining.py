"""Joins two LiteRT files: the second runs on the output of the first."""

import numpy as np

from keras_residual.export.errors import ExportError
from keras_residual.export.formats.litert.schema import opened, packed


def joined(first: bytes, second: bytes) -> bytes:
    """Returns a file that runs `second` on the output of `first`.

    Args:
        first: A file of one output.
        second: A file of one input, of that output's shape and type.

    Raises:
        ExportError: If they do not fit.
    """
    _, model = opened(first)
    _, added = opened(second)
    graph, more = model.subgraphs[0], added.subgraphs[0]
    ((source,), (target,)) = graph.outputs, more.inputs
    ends = graph.tensors[source], more.tensors[target]
    if ends[0].type != ends[1].type or [*ends[0].shape] != [*ends[1].shape]:
        raise ExportError(
            f"A file that outputs {[*ends[0].shape]} cannot be joined to one that takes "
            f"{[*ends[1].shape]}."
        )
    buffers, codes = len(model.buffers), len(model.operatorCodes)
    tensors = len(graph.tensors)
    model.buffers = [*model.buffers, *added.buffers]
    model.operatorCodes = [*model.operatorCodes, *added.operatorCodes]
    for tensor in more.tensors:
        tensor.buffer += buffers
    graph.tensors = [*graph.tensors, *more.tensors]
    places = {index: index + tensors for index in range(len(more.tensors))} | {int(target): source}
    for operation in more.operators:
        operation.opcodeIndex += codes
        operation.inputs = _moved(operation.inputs, places)
        operation.outputs = _moved(operation.outputs, places)
        operation.intermediates = _moved(operation.intermediates, places)
    graph.operators = [*graph.operators, *more.operators]
    graph.outputs = _moved(more.outputs, places)
    # Metadata that refers to the buffers of the parts, such as the minimum runtime version.
    model.metadata = []
    for signature, theirs in zip(model.signatureDefs or [], added.signatureDefs or [], strict=True):
        signature.outputs = theirs.outputs
        for entry in signature.outputs:
            entry.tensorIndex = places[entry.tensorIndex]
    return packed(model)


def _moved(indices, places):
    """Returns the new indices of tensors; -1 marks an omitted optional one."""
    if indices is None:
        return None
    return np.array([places.get(int(index), int(index)) for index in indices], np.int32)
