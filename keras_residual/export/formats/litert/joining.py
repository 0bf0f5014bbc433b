"""Joins LiteRT files: each runs on the outputs of those before it."""

from collections.abc import Sequence

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
    _check_fit(graph.tensors[source], more.tensors[target])
    places = _appended(model, added, {int(target): source})
    graph.outputs = _moved(more.outputs, places)
    for signature, theirs in zip(model.signatureDefs or [], added.signatureDefs or [], strict=True):
        signature.outputs = theirs.outputs
        for entry in signature.outputs:
            entry.tensorIndex = places[entry.tensorIndex]
    return packed(model)


def chained(parts: Sequence[bytes], outputs: Sequence[str]) -> bytes:
    """Returns a file that runs several, each on its own inputs and what those before it give.

    Args:
        parts: Files with a signature; inputs and outputs of equal names are the same tensor.
        outputs: Names of the outputs to keep.

    Raises:
        ExportError: If they do not fit.
    """
    _, model = opened(parts[0])
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    known = {entry.name: entry for entry in (*signature.inputs, *signature.outputs)}
    for content in parts[1:]:
        _, added = opened(content)
        theirs, same = added.signatureDefs[0], {}
        for entry in theirs.inputs:
            if entry.name in known:
                index = known[entry.name].tensorIndex
                tensor = added.subgraphs[0].tensors[entry.tensorIndex]
                _check_fit(graph.tensors[index], tensor)
                same[entry.tensorIndex] = index
        places = _appended(model, added, same)
        own = [entry for entry in theirs.inputs if entry.name not in known]
        for entry in (*theirs.inputs, *theirs.outputs):
            entry.tensorIndex = places[entry.tensorIndex]
        # The next states have the names of the states before.
        known |= {entry.name: entry for entry in (*own, *theirs.outputs)}
        signature.inputs = [*signature.inputs, *own]
        graph.inputs = np.array([*graph.inputs, *(each.tensorIndex for each in own)], np.int32)
    signature.outputs = [known[name.encode()] for name in outputs]
    graph.outputs = np.array([each.tensorIndex for each in signature.outputs], np.int32)
    return packed(model)


def _check_fit(given, taken):
    if given.type != taken.type or [*given.shape] != [*taken.shape]:
        raise ExportError(
            f"A file that outputs {[*given.shape]} cannot be joined to one that takes "
            f"{[*taken.shape]}."
        )


def _appended(model, added, same):
    """Adds the graph of a file, and returns the new indices of its tensors.

    Args:
        model: The file to extend.
        added: The other one, which becomes useless.
        same: Tensors of `added` that are those of `model`, by index.
    """
    graph, more = model.subgraphs[0], added.subgraphs[0]
    buffers, codes = len(model.buffers), len(model.operatorCodes)
    tensors = len(graph.tensors)
    model.buffers = [*model.buffers, *added.buffers]
    model.operatorCodes = [*model.operatorCodes, *added.operatorCodes]
    for tensor in more.tensors:
        tensor.buffer += buffers
    graph.tensors = [*graph.tensors, *more.tensors]
    places = {index: index + tensors for index in range(len(more.tensors))} | same
    for operation in more.operators:
        operation.opcodeIndex += codes
        operation.inputs = _moved(operation.inputs, places)
        operation.outputs = _moved(operation.outputs, places)
        operation.intermediates = _moved(operation.intermediates, places)
    graph.operators = [*graph.operators, *more.operators]
    # Metadata that refers to the buffers of the parts, such as the minimum runtime version.
    model.metadata = []
    return places


def _moved(indices, places):
    """Returns the new indices of tensors; -1 marks an omitted optional one."""
    if indices is None:
        return None
    return np.array([places.get(int(index), int(index)) for index in indices], np.int32)
