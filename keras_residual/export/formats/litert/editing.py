"""Changes to one graph of a LiteRT file: new constants and reshapes, and what is then left over."""

from typing import Any

import numpy as np

from keras_residual.export.formats.litert.schema import operation_names


class GraphEditor:
    """A graph that is being rewritten, operation by operation.

    Args:
        module: The schema's module.
        model: The file's objects.
        graph: One of its graphs.
    """

    def __init__(self, module: Any, model: Any, graph: Any):
        self.module, self.model, self.graph = module, model, graph
        self.shapes = [shape_of(tensor) for tensor in graph.tensors]
        self.names = operation_names(module, model)
        self.operators = []

    def values(self, index: int) -> np.ndarray:
        """Returns the integers of a constant."""
        tensor = self.graph.tensors[index]
        kind = np.int64 if tensor.type == self.module.TensorType.INT64 else np.int32
        data = np.asarray(self.model.buffers[tensor.buffer].data, np.uint8).tobytes()
        return np.frombuffer(data, kind).reshape(shape_of(tensor))

    def is_constant(self, index: int) -> bool:
        """Returns whether a tensor's values are stored in the file."""
        data = self.model.buffers[self.graph.tensors[index].buffer].data
        return data is not None and len(data) > 0

    def set_constant(self, op: Any, place: int, values: Any) -> None:
        """Gives an operation other integers as one of its inputs."""
        inputs = [int(index) for index in op.inputs]
        inputs[place] = self._integers(values)
        op.inputs = np.array(inputs, np.int32)

    def like(self, index: int, shape: tuple[int, ...]) -> int:
        """Adds a tensor like another one, of another shape."""
        old, new = self.graph.tensors[index], self.module.TensorT()
        for name in ("type", "buffer", "name", "quantization"):
            setattr(new, name, getattr(old, name))
        new.shape = np.array(shape, np.int32)
        return self._added(new)

    def code(self, name: str, version: int) -> int:
        """Returns the number of an operation's kind, which the file then has."""
        for index, code in enumerate(self.model.operatorCodes):
            if self.names[index] == name and code.version == version:
                return index
        code = self.module.OperatorCodeT()
        code.builtinCode = getattr(self.module.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        self.model.operatorCodes.append(code)
        self.names.append(name)
        return len(self.names) - 1

    def add_reshape(self, source: int, target: int) -> None:
        """Adds an operation that gives one tensor the shape of another."""
        op, options = self.module.OperatorT(), self.module.ReshapeOptionsT()
        shape = np.array(shape_of(self.graph.tensors[target]), np.int32)
        options.newShape = shape
        op.opcodeIndex = self.code("RESHAPE", 1)
        op.inputs = np.array([source, self._integers(shape)], np.int32)
        op.outputs = np.array([target], np.int32)
        op.builtinOptionsType = self.module.BuiltinOptions.ReshapeOptions
        op.builtinOptions = options
        self.operators.append(op)

    def drop_idle_reshapes(self) -> None:
        """Leaves out reshapes that change nothing, and of two in a row the first."""
        kept, given, before = [], {int(index) for index in self.graph.outputs}, {}
        tensors = self.graph.tensors
        for op in self.operators:
            op.inputs = np.array([before.get(int(i), int(i)) for i in op.inputs], np.int32)
            if self.names[op.opcodeIndex] == "RESHAPE":
                source, target = int(op.inputs[0]), int(op.outputs[0])
                same = shape_of(tensors[source]) == shape_of(tensors[target])
                if same and target not in given:
                    before[target] = source
                    continue
            kept.append(op)
        self.graph.operators = _without_chains(kept, self.names, given)
        self.forget_unused()

    def forget_unused(self) -> None:
        """Leaves out tensors that no operation reads or writes."""
        used = {int(i) for op in self.graph.operators for i in (*op.inputs, *op.outputs)}
        used |= {int(index) for index in (*self.graph.inputs, *self.graph.outputs)}
        kept = [index for index in range(len(self.graph.tensors)) if index in used]
        places = {old: new for new, old in enumerate(kept)} | {-1: -1}
        self.graph.tensors = [self.graph.tensors[index] for index in kept]
        for owner in (self.graph, *self.graph.operators):
            owner.inputs, owner.outputs = (
                _moved(side, places) for side in (owner.inputs, owner.outputs)
            )
        for signature in self.model.signatureDefs or []:
            if self.model.subgraphs[signature.subgraphIndex] is self.graph:
                for entry in (*signature.inputs, *signature.outputs):
                    entry.tensorIndex = places[entry.tensorIndex]

    def constant(self, values: np.ndarray, scale: float | None = None) -> int:
        """Adds a tensor of given numbers.

        Args:
            values: The numbers, of type float32, int32 or int8.
            scale: What integers are multiplied by; `None` if they stand for themselves.
        """
        buffer, tensor = self.module.BufferT(), self.module.TensorT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.shape = np.array(values.shape, np.int32)
        tensor.type = getattr(self.module.TensorType, values.dtype.name.upper())
        tensor.buffer, tensor.name = len(self.model.buffers) - 1, b"constant"
        if scale is not None:
            tensor.quantization = self.module.QuantizationParametersT()
            tensor.quantization.scale = np.array([scale], np.float32)
            tensor.quantization.zeroPoint = np.zeros(1, np.int64)
        return self._added(tensor)

    def _integers(self, values):
        return self.constant(np.asarray(values, np.int32))

    def _added(self, tensor):
        self.graph.tensors.append(tensor)
        self.shapes.append(shape_of(tensor))
        return len(self.graph.tensors) - 1


def shape_of(tensor: Any) -> tuple[int, ...]:
    """Returns the sizes of a tensor as the file states them."""
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def _moved(indices, places):
    return np.array([places[int(index)] for index in indices], np.int32)


def _without_chains(operators, names, kept):
    """Returns operations in which a reshape reads what the reshape before it read.

    Args:
        operators: The operations.
        names: Their names, by their codes.
        kept: Tensors that something else reads.
    """
    sources, found = {}, []
    for op in operators:
        if names[op.opcodeIndex] == "RESHAPE":
            source = sources.get(int(op.inputs[0]), int(op.inputs[0]))
            op.inputs = np.array([source, *op.inputs[1:]], np.int32)
            sources[int(op.outputs[0])] = source
        found.append(op)
    read = kept | {int(index) for op in found for index in op.inputs}
    idle = [names[op.opcodeIndex] == "RESHAPE" and int(op.outputs[0]) not in read for op in found]
    return [op for op, is_idle in zip(found, idle, strict=True) if not is_idle]
