"""Rewrites rank-5 tensors as rank 4, for the GPU, NNAPI and Edge TPU delegates.

Video networks and group normalization produce rank-5 tensors. Two adjacent axes are merged into
one, which changes nothing for an operation that treats them alike. Which two depends on the
operation; where consecutive operations differ, a reshape is inserted.
"""

import numpy as np

from keras_residual.export.formats.litert.editing import GraphEditor, shape_of
from keras_residual.export.formats.litert.schema import opened, packed

_WIDE = 5
_ELEMENTWISE = {"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "POW"}
_ELEMENTWISE |= {"RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "ELU", "LEAKY_RELU", "GELU"}
_ELEMENTWISE |= {"HARD_SWISH", "ABS", "NEG", "EXP", "LOG", "SQUARE", "SQRT", "RSQRT", "FLOOR"}
_ELEMENTWISE |= {"QUANTIZE", "DEQUANTIZE", "CAST"}
_REDUCTIONS = {"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"}
_PADDINGS = {"PAD", "PADV2", "MIRROR_PAD"}
_VERSIONED = (_ELEMENTWISE - {"QUANTIZE", "DEQUANTIZE", "CAST"}) | _PADDINGS
_VERSIONED |= {"SLICE", "STRIDED_SLICE"}
# Merging the batch with another axis is the last choice.
_ORDER = (2, 1, 3, 0)


def with_four_axes(content: bytes, fold_input: bool = False) -> bytes:
    """Returns a file whose rank-5 tensors have rank 4, as far as its operations allow.

    Args:
        content: A LiteRT file. One with dynamic sizes is returned unchanged.
        fold_input: Whether to drop the batch axis of rank-5 inputs with a batch size of 1.
    """
    module, model = opened(content)
    for graph in model.subgraphs:
        shapes = [shape_of(tensor) for tensor in graph.tensors]
        signatures = [tensor.shapeSignature for tensor in graph.tensors]
        open_sizes = any(s is not None and (np.asarray(s) < 0).any() for s in signatures)
        if open_sizes or max(map(len, shapes), default=0) != _WIDE:
            return content
    for graph in model.subgraphs:
        _Folding(module, model, graph).fold(fold_input)
    return packed(model)


def _filled(shape):
    """Returns a shape padded with leading ones to rank 5."""
    return (*(1,) * (_WIDE - len(shape)), *shape)


def _merged(shape, at):
    """Returns a shape with the axes `at` and `at + 1` merged."""
    return (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])


class _Folding(GraphEditor):
    """Rewrites a graph so that its rank-5 tensors have rank 4.

    Attributes:
        stored: First of the two merged axes of each rank-5 tensor, `None` if none are merged.
        reshaped: Reshaped tensors, by original tensor and shape.
    """

    def __init__(self, module, model, graph):
        super().__init__(module, model, graph)
        self.stored, self.reshaped = {}, {}

    def fold(self, fold_input: bool) -> None:
        """Rewrites the graph; see `with_four_axes`."""
        for index in self.graph.inputs:
            if len(self.shapes[index]) == _WIDE:
                drop = fold_input and self.shapes[index][0] == 1
                self._store(index, 0 if drop else None)
        for op in self.graph.operators:
            self._rewrite(op, self.names[op.opcodeIndex])
        self.graph.operators = self.operators
        self.drop_idle_reshapes()

    def _rewrite(self, op, name):
        inputs, outputs = [int(i) for i in op.inputs], [int(i) for i in op.outputs]
        if not any(len(self.shapes[i]) == _WIDE for i in (*inputs, *outputs) if i >= 0):
            if name in _VERSIONED:
                # The converter gives all operations of a kind the version that the widest needs.
                op.opcodeIndex = self.code(name, self._version(op, name))
            self.operators.append(op)
            return
        if name == "RESHAPE":
            self._reshape(op, inputs, outputs)
            return
        view = self._view(op, name, inputs)
        if view is not None:
            self._adapt(op, name, view)
            op.opcodeIndex = self.code(name, self._version(op, name))
        op.inputs = np.array([self._operand(i, view, name) for i in op.inputs], np.int32)
        self._finish(op, outputs, view)

    def _finish(self, op, outputs, view):
        """Adds an operation; outputs of the graph keep rank 5."""
        results = [int(index) for index in self.graph.outputs]
        wide = [index for index in outputs if len(self.shapes[index]) == _WIDE]
        later = [index for index in wide if index in results and view is not None]
        for index in wide:
            if index not in later:
                self._store(index, view)
        if later:
            new = {index: self.like(index, _merged(self.shapes[index], view)) for index in later}
            op.outputs = np.array([new.get(index, index) for index in outputs], np.int32)
        self.operators.append(op)
        for index in later:
            self.add_reshape(new[index], index)
            self.stored[index] = None

    def _store(self, index, view):
        self.stored[index] = view
        if view is not None:
            tensor = self.graph.tensors[index]
            tensor.shape = np.array(_merged(self.shapes[index], view), np.int32)
            tensor.shapeSignature = None

    def _view(self, op, name, inputs):
        """Returns the first of two adjacent axes that an operation treats alike, `None` if none."""
        wide = [i for i in inputs if i >= 0 and len(self.shapes[i]) == _WIDE]
        if not wide:
            return None
        current = self.stored.get(wide[0])
        order = [current, *_ORDER] if current is not None else [*_ORDER]
        return next((view for view in order if self._allows(op, name, inputs, view)), None)

    def _allows(self, op, name, inputs, at):
        pair = (at, at + 1)
        if name in _ELEMENTWISE:
            return self._broadcasts_alike([i for i in inputs if i >= 0], pair)
        if name in _REDUCTIONS:
            axes = {axis % _WIDE for axis in self.values(inputs[1]).ravel().tolist()}
            return len(axes & {*pair}) != 1
        shape = self.shapes[inputs[0]]
        # An axis of size 1 can be merged whatever happens to its neighbour.
        kept = pair[:1] if shape[at] == 1 else pair
        if name in _PADDINGS:
            return not self.values(inputs[1])[[*kept]].any()
        if name == "STRIDED_SLICE":
            options = op.builtinOptions
            plain = not (options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask)
            output, steps = self.shapes[int(op.outputs[0])], self.values(inputs[3])
            return plain and all(output[i] == shape[i] and steps[i] == 1 for i in kept)
        if name == "SLICE":
            output = self.shapes[int(op.outputs[0])]
            return all(output[axis] == shape[axis] for axis in kept)
        if name == "CONCATENATION":
            return op.builtinOptions.axis % _WIDE not in pair
        return name == "SOFTMAX" and _WIDE - 1 not in pair

    def _broadcasts_alike(self, inputs, pair):
        sizes = []
        for index in inputs:
            shape = _filled(self.shapes[index])
            sizes.append((shape[pair[0]], shape[pair[1]]))
            # An operand of lower rank must not extend to the merged axes.
            narrow = len(self.shapes[index]) < _WIDE and not self.is_constant(index)
            if narrow and max(shape[: pair[1] + 1]) > 1:
                return False
        full = (max(a for a, _ in sizes), max(b for _, b in sizes))
        return all(size in (full, (1, 1)) for size in sizes)

    def _adapt(self, op, name, at):
        """Adapts the axes in an operation's parameters to the merged shape."""
        inputs = [int(index) for index in op.inputs]
        if name in _REDUCTIONS:
            axes = {axis % _WIDE for axis in self.values(inputs[1]).ravel().tolist()}
            self.set_constant(op, 1, sorted({axis - (axis > at) for axis in axes}))
        elif name in _PADDINGS:
            self.set_constant(op, 1, np.delete(self.values(inputs[1]), at, 0))
        elif name == "SLICE":
            begin, output = self.values(inputs[1]), self.shapes[int(op.outputs[0])]
            self.set_constant(op, 1, np.delete(begin, at))
            self.set_constant(op, 2, _merged(output, at))
        elif name == "STRIDED_SLICE":
            self._adapt_slice(op, inputs, at)
        elif name == "CONCATENATION":
            axis = op.builtinOptions.axis % _WIDE
            op.builtinOptions.axis = axis - (axis > at)

    def _adapt_slice(self, op, inputs, at):
        begin, end, steps = (self.values(index).copy() for index in inputs[1:4])
        options, shape = op.builtinOptions, self.shapes[inputs[0]]
        for axis in range(_WIDE):
            if options.beginMask >> axis & 1:
                begin[axis] = 0
            if options.endMask >> axis & 1:
                end[axis] = shape[axis]
        if shape[at] > 1:
            begin[at + 1], end[at + 1] = 0, shape[at] * shape[at + 1]
        options.beginMask = options.endMask = 0
        for place, values in enumerate((begin, end, steps), start=1):
            self.set_constant(op, place, np.delete(values, at))

    def _operand(self, index, view, name):
        """Returns the tensor that replaces an operand of an operation."""
        index = int(index)
        if index < 0:
            return index
        if name in _ELEMENTWISE and self.is_constant(index):
            shape = _filled(self.shapes[index])
            return index if view is None else self.like(index, _merged(shape, view))
        if len(self.shapes[index]) != _WIDE:
            return index
        if self.stored.get(index) == view:
            return index
        shape = self.shapes[index] if view is None else _merged(self.shapes[index], view)
        return self._reshape_to(index, shape)

    def _reshape_to(self, index, shape):
        if (index, shape) not in self.reshaped:
            new = self.like(index, shape)
            self.add_reshape(index, new)
            self.reshaped[index, shape] = new
        return self.reshaped[index, shape]

    def _reshape(self, op, inputs, outputs):
        source, target = inputs[0], outputs[0]
        if len(self.shapes[target]) == _WIDE and target not in [int(i) for i in self.graph.outputs]:
            self._store(target, 0 if self.shapes[target][0] == 1 else 1)
        self.add_reshape(source, target)

    def _version(self, op, name):
        """Returns the version of an operation on tensors of at most rank 4."""
        version = self.model.operatorCodes[op.opcodeIndex].version
        if name == "MUL" and version == 3:
            # Version 3 is needed where the product of the input scales exceeds the output scale.
            return version
        kind = self.graph.tensors[int(op.inputs[0])].type
        return min(version, 1 if kind == self.module.TensorType.FLOAT32 else 2)
