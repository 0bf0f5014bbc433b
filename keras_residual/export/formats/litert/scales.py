"""Int8 files in which features that are concatenated share one scale.

A feature that takes part in several concatenations, as in a DenseNet, is rescaled for each of them
by a conversion from 8 bits to 8 bits. Runtimes round these conversions differently: XNNPACK
multiplies by a multiple of 1/256, LiteRT's own kernels by 31 bits. With one scale for all of them
there is nothing to convert, and every value is rounded once.
"""

import numpy as np

from keras_residual.export.formats.litert.editing import GraphEditor
from keras_residual.export.formats.litert.schema import opened, packed

# Operations whose inputs and outputs have one scale.
_SAME = (
    "CONCATENATION",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "RESHAPE",
    "PAD",
    "SLICE",
    "STRIDED_SLICE",
    "SPLIT",
    "TRANSPOSE",
)
_WITH_BIAS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# Operations that take any scale and give any.
_FREE = (*_WITH_BIAS, "ADD", "SUB", "MUL", "MEAN", "RELU", "QUANTIZE", "DEQUANTIZE")
_LOWEST, _HIGHEST = -128, 127


def with_shared_scales(content: bytes) -> bytes:
    """Returns an int8 file without conversions from 8 bits to 8 bits, where that is possible."""
    module, model = opened(content)
    changed = False
    for graph in model.subgraphs:
        changed |= _Scales(module, model, graph).share()
    return packed(model) if changed else content


class _Scales(GraphEditor):
    """A graph whose tensors get common scales."""

    def share(self) -> bool:
        """Gives a scale to each group of tensors; returns whether there is a conversion less."""
        conversions = [op for op in self.graph.operators if self._is_conversion(op)]
        if not conversions:
            return False
        groups = self._groups()
        kept = self._kept_groups(groups)
        chosen = {groups[int(op.inputs[0])] for op in conversions} - kept
        for group in chosen:
            self._set_scale([index for index, name in groups.items() if name == group])
        dropped = {
            int(op.outputs[0]): int(op.inputs[0])
            for op in conversions
            if groups[int(op.inputs[0])] in chosen
        }
        self._drop(dropped)
        return bool(dropped)

    def _is_conversion(self, op):
        return self.names[op.opcodeIndex] == "QUANTIZE" and len(self._activations(op)) == 2

    def _activations(self, op):
        """Returns the int8 tensors of an operation that are no constants."""
        integer = self.module.TensorType.INT8
        ends = (int(index) for index in (*op.inputs, *op.outputs) if index >= 0)
        tensors = self.graph.tensors
        return [i for i in ends if tensors[i].type == integer and not self.is_constant(i)]

    def _groups(self):
        """Returns a name for the group of each int8 activation: one of its tensors."""
        names = {}

        def name(index):
            while names.setdefault(index, index) != index:
                index = names[index]
            return index

        for op in self.graph.operators:
            ends = self._activations(op)
            together = self.names[op.opcodeIndex] in _SAME or self._is_conversion(op)
            for index in ends:
                names[name(index)] = name(ends[0] if together else index)
        return {index: name(index) for index in names}

    def _kept_groups(self, groups):
        """Returns the groups that something other than known operations reads or writes."""
        found = {groups[i] for i in (*self.graph.inputs, *self.graph.outputs) if i in groups}
        for op in self.graph.operators:
            kind, ends = self.names[op.opcodeIndex], self._activations(op)
            if kind not in (*_SAME, *_FREE) or (kind in _SAME and self._has_constant(op)):
                found |= {groups[index] for index in ends}
        return found

    def _has_constant(self, op):
        """Returns whether an operation reads a constant that has a scale."""
        integer, tensors = self.module.TensorType.INT8, self.graph.tensors
        inputs = (int(index) for index in op.inputs if index >= 0)
        return any(tensors[i].type == integer and self.is_constant(i) for i in inputs)

    def _set_scale(self, group):
        """Gives tensors one scale, for all that any of them can hold."""
        parameters = [self.graph.tensors[index].quantization for index in group]
        pairs = [(float(each.scale[0]), int(each.zeroPoint[0])) for each in parameters]
        low = min(scale * (_LOWEST - zero) for scale, zero in pairs)
        high = max(scale * (_HIGHEST - zero) for scale, zero in pairs)
        scale = (high - low) / (_HIGHEST - _LOWEST)
        zero = int(np.clip(round(_LOWEST - low / scale), _LOWEST, _HIGHEST))
        for op in self.graph.operators:
            if self.names[op.opcodeIndex] in _WITH_BIAS and int(op.inputs[0]) in group:
                before = float(self.graph.tensors[int(op.inputs[0])].quantization.scale[0])
                self._rescale_bias(op, before / scale)
        for each in parameters:
            each.scale = np.array([scale], np.float32)
            each.zeroPoint = np.array([zero], np.int64)

    def _rescale_bias(self, op, factor):
        """Expresses a bias, which has the input's scale, in another one."""
        if len(op.inputs) < 3 or op.inputs[2] < 0:
            return
        index = int(op.inputs[2])
        values = np.round(self.values(index).astype(np.float64) * factor).astype(np.int32)
        place, old = self.constant(values), self.graph.tensors[index]
        new = self.graph.tensors[place]
        new.name, new.quantization = old.name, self.module.QuantizationParametersT()
        new.quantization.scale = (np.asarray(old.quantization.scale) / factor).astype(np.float32)
        new.quantization.zeroPoint = old.quantization.zeroPoint
        new.quantization.quantizedDimension = old.quantization.quantizedDimension
        op.inputs = np.array([*op.inputs[:2], place, *op.inputs[3:]], np.int32)

    def _drop(self, sources):
        """Leaves out conversions; `sources` has the tensor that each one's output was made from."""

        def source(index):
            while index in sources:
                index = sources[index]
            return index

        self.graph.operators = [
            op for op in self.graph.operators if int(op.outputs[0]) not in sources
        ]
        for op in self.graph.operators:
            op.inputs = np.array([source(int(index)) for index in op.inputs], np.int32)
        self.forget_unused()
