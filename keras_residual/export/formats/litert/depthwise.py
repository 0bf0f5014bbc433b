"""Files in which slices with steps, and averages of integers, are depthwise convolutions.

Option-A shortcuts and dilated convolutions with strides take every second position of a feature
map; projections of the "D" networks, dense transitions and others average integers. XNNPACK leaves
both to LiteRT's own kernels, and splits the file there. A depthwise convolution with a one, or the
same weight everywhere, for each channel puts out the same numbers: exactly for slices, and within
half a level, to which both round, for averages.
"""

import numpy as np

from keras_residual.export.formats.litert.editing import GraphEditor
from keras_residual.export.formats.litert.schema import opened, packed

_FLOAT_VERSION, _INT8_VERSION = 1, 3
_ONE = 127
# Rows and columns of a kernel; a slice that begins later, or a larger window, is left as it is.
_LARGEST = 5


def with_depthwise_convolutions(content: bytes) -> bytes:
    """Returns a file whose slices with steps and integer averages are depthwise convolutions.

    Slices of two spatial axes in floating point and integers, averages in integers alone: delegates
    take those in floating point.
    """
    module, model = opened(content)
    changed = False
    for graph in model.subgraphs:
        editor = _Depthwise(module, model, graph)
        for op in graph.operators:
            changed |= editor.replaced(op)
    return packed(model) if changed else content


class _Depthwise(GraphEditor):
    """A graph whose slices and averages are replaced one by one."""

    def replaced(self, op) -> bool:
        """Turns an operation into a convolution; returns whether it is one that can be."""
        kind = self.names[op.opcodeIndex]
        if kind == "AVERAGE_POOL_2D":
            return self._replaced_average(op)
        return kind == "STRIDED_SLICE" and self._replaced_slice(op)

    def _replaced_average(self, op):
        """Turns an average of integers over windows that lie inside into a convolution."""
        module, options = self.module, op.builtinOptions
        window = options.filterHeight, options.filterWidth
        strides = options.strideH, options.strideW
        tensor = self.graph.tensors[int(op.inputs[0])]
        if tensor.type != module.TensorType.INT8 or max(window) > _LARGEST:
            return False
        is_padded = options.padding == module.Padding.SAME and any(
            size < 0 or (-(-size // step) - 1) * step + extent > size
            for size, step, extent in zip(self._sizes(op)[1:3], strides, window, strict=True)
        )
        if is_padded or options.fusedActivationFunction:
            return False
        kernel = np.ones((1, *window, self._sizes(op)[3]), np.float32)
        # A quarter of a step of the sum rounds halves alike in every runtime, and changes nothing
        # else: up in every other channel, so that averages stay unbiased.
        bias = np.where(np.arange(kernel.shape[-1]) % 2, -1, 1) * (_ONE // 4)
        self._convolve(op, kernel, strides, 1 / (_ONE * window[0] * window[1]), bias)
        return True

    def _sizes(self, op):
        """Returns the sizes of an operation's input, -1 for those that may vary."""
        source = int(op.inputs[0])
        signature = self.graph.tensors[source].shapeSignature
        return self.shapes[source] if signature is None else [int(size) for size in signature]

    def _replaced_slice(self, op):
        """Turns a slice of two spatial axes into a convolution."""
        if not self._is_plain(op):
            return False
        axes = [self._limits(op, axis, size) for axis, size in enumerate(self._sizes(op))]
        if None in axes:
            return False
        batch, *inner, channels = axes
        first, strides, sizes = zip(*inner, strict=True)
        if {batch, channels} != {(0, 1, 1)} or max(strides) == 1 or max(sizes) > _LARGEST:
            return False
        kernel = np.zeros((1, *sizes, self._sizes(op)[3]), np.float32)
        kernel[:, first[0], first[1]] = 1
        self._convolve(op, kernel, strides, 1 / _ONE)
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

    def _convolve(self, op, kernel, strides, scale, integer_bias=0):
        """Turns an operation into a convolution.

        Args:
            op: The operation.
            kernel: Ones and zeros.
            strides: Steps of rows and columns.
            scale: What an integer of the kernel, of which 127 stands for a one, is multiplied by.
            integer_bias: What is added to the sum of integers.
        """
        module, tensor = self.module, self.graph.tensors[int(op.inputs[0])]
        is_integer = tensor.type == module.TensorType.INT8
        bias, step = np.zeros(kernel.shape[-1], np.float32), None
        if is_integer:
            kernel = (kernel * _ONE).astype(np.int8)
            bias = np.full(len(bias), integer_bias, np.int32)
            step = scale * float(tensor.quantization.scale[0])
        weights = [self.constant(kernel, scale if is_integer else None), self.constant(bias, step)]
        op.inputs = np.array([op.inputs[0], *weights], np.int32)
        op.opcodeIndex = self.code(
            "DEPTHWISE_CONV_2D", _INT8_VERSION if is_integer else _FLOAT_VERSION
        )
        options = module.DepthwiseConv2DOptionsT()
        options.padding, options.depthMultiplier = module.Padding.VALID, 1
        options.strideH, options.strideW = strides
        options.dilationHFactor = options.dilationWFactor = 1
        op.builtinOptionsType = module.BuiltinOptions.DepthwiseConv2DOptions
        op.builtinOptions = options
