"""Files in which slices with steps are depthwise convolutions, which every delegate takes.

Option-A shortcuts and dilated convolutions with strides take every second position of a feature
map. XNNPACK leaves such slices to LiteRT's own kernels. A depthwise convolution with a one for each
channel puts out the same numbers, in floating point and in integers.
"""

import numpy as np

from keras_residual.export.formats.litert.editing import GraphEditor, shape_of
from keras_residual.export.formats.litert.schema import opened, packed

_FLOAT_VERSION, _INT8_VERSION = 1, 3
_ONE = 127
# Rows and columns of a kernel; a slice that begins later is left as it is.
_LARGEST = 5


def with_strided_convolutions(content: bytes) -> bytes:
    """Returns a file whose slices of two spatial axes with steps are depthwise convolutions."""
    module, model = opened(content)
    changed = False
    for graph in model.subgraphs:
        editor = _Slices(module, model, graph)
        for op in graph.operators:
            changed |= editor.replaced(op)
    return packed(model) if changed else content


class _Slices(GraphEditor):
    """A graph whose slices are replaced one by one."""

    def replaced(self, op) -> bool:
        """Turns a slice into a convolution; returns whether it is one that can be."""
        if self.names[op.opcodeIndex] != "STRIDED_SLICE" or not self._is_plain(op):
            return False
        source = int(op.inputs[0])
        signature = self.graph.tensors[source].shapeSignature
        sizes = self.shapes[source] if signature is None else signature
        axes = [self._limits(op, axis, size) for axis, size in enumerate(sizes)]
        if None in axes:
            return False
        batch, *inner, channels = axes
        first, strides, sizes = zip(*inner, strict=True)
        if {batch, channels} != {(0, 1, 1)} or max(strides) == 1 or max(sizes) > _LARGEST:
            return False
        self._convolve(op, source, first, strides, sizes)
        return True

    def _limits(self, op, axis, size):
        """Returns where a slice of an axis begins, its step, and the size of a kernel for it.

        A kernel that ends behind its one leaves out the positions at the end. `None` if no kernel
        does the same.
        """
        begin, end, steps = (self.values(int(index)).ravel() for index in op.inputs[1:4])
        if axis >= len(begin):
            return 0, 1, 1
        first = 0 if op.builtinOptions.beginMask >> axis & 1 else int(begin[axis])
        last, step = int(end[axis]), int(steps[axis])
        if first < 0 or step < 1:
            return None
        if op.builtinOptions.endMask >> axis & 1:
            return first, step, first + 1
        last += size if last < 0 else 0
        if size < 0 or not first < last <= size:
            return None
        count = -(-(last - first) // step)
        return first, step, max(first + 1, size - step * count + 1)

    def _is_plain(self, op):
        """Returns whether a slice keeps four axes, and its limits are known."""
        options, tensor = op.builtinOptions, self.graph.tensors[int(op.inputs[0])]
        types = self.module.TensorType
        masks = options.ellipsisMask or options.newAxisMask or options.shrinkAxisMask
        return (
            not masks
            and len(self.shapes[int(op.inputs[0])]) == 4
            and tensor.type in (types.FLOAT32, types.INT8)
            and all(self.is_constant(int(index)) for index in op.inputs[1:4])
        )

    def _convolve(self, op, source, first, strides, sizes):
        module, tensor = self.module, self.graph.tensors[source]
        channels = shape_of(tensor)[3]
        is_integer = tensor.type == module.TensorType.INT8
        kernel = np.zeros((1, *sizes, channels), np.float32)
        kernel[:, first[0], first[1]] = 1
        bias, scale = np.zeros(channels, np.float32), None
        if is_integer:
            kernel, bias, scale = (kernel * _ONE).astype(np.int8), bias.astype(np.int32), 1 / _ONE
        step = None if scale is None else scale * float(tensor.quantization.scale[0])
        weights = [self.constant(kernel, scale), self.constant(bias, step)]
        op.inputs = np.array([source, *weights], np.int32)
        op.opcodeIndex = self.code(
            "DEPTHWISE_CONV_2D", _INT8_VERSION if is_integer else _FLOAT_VERSION
        )
        options = module.DepthwiseConv2DOptionsT()
        options.padding, options.depthMultiplier = module.Padding.VALID, 1
        options.strideH, options.strideW = strides
        options.dilationHFactor = options.dilationWFactor = 1
        op.builtinOptionsType = module.BuiltinOptions.DepthwiseConv2DOptions
        op.builtinOptions = options
