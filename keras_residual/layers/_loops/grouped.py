"""A rematerialized loop over blocks on TensorFlow, with a custom gradient."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_residual.layers._loops.backends import twice_differentiable_tensorflow


@dataclass(frozen=True)
class GroupedLoop:
    """Loops `body` over stacked values and stores x only between groups of blocks.

    TensorFlow's gradient of nested loops needs more memory than rematerialization saves.

    Attributes:
        body: `body(x, *slices) -> (x, updates)`: one block.
        depth: Number of blocks.
        size: Blocks per group; the last group may have fewer.
        updated: The stacked values that `body` returns updated; the weights precede them.
    """

    body: Callable[..., Any]
    depth: int
    size: int
    updated: slice

    def __call__(self, x, stacked: list[Any]):
        """Returns x after all blocks, and the stacked updates."""
        import tensorflow as tf

        @tf.custom_gradient
        def run(x, *stacked):
            # Under two tapes at once TensorFlow would prepare its own gradients of the loops.
            constant = [tf.stop_gradient(values) for values in (x, *stacked)]
            y, kept, updates = self._forward(constant[0], constant[1:])

            def compute(gradient):
                gradient, gradients = self._backward(gradient, kept, constant[1:])
                return gradient, *gradients, *[None] * (len(stacked) - len(gradients))

            def gradient(gradient, *_):
                return twice_differentiable_tensorflow(
                    compute, self._plain, (x, *stacked), (gradient,)
                )

            return (y, *updates), gradient

        y, *updates = run(*[tf.convert_to_tensor(values) for values in (x, *stacked)])
        return y, updates

    def _plain(self, x, *stacked):
        """Runs the blocks one after the other, for gradients of gradients."""
        for slices in zip(*[_unstacked(values) for values in stacked], strict=True):
            x, _ = self.body(x, *slices)
        return (x,)

    def _forward(self, x, stacked):
        """Returns x after all blocks, x before every group, and the stacked updates."""

        def block(index, x, outputs):
            x, updates = self.body(x, *_slices(stacked, index))
            return index + 1, x, _written(outputs, index, updates)

        def group(number, x, kept, outputs):
            start, stop = self._ends(number)
            kept = kept.write(number, x)
            _, x, outputs = _while(lambda i, *_: i < stop, block, start, x, outputs)
            return number + 1, x, kept, outputs

        count = self._count
        outputs = [_array(self.depth, values[0]) for values in stacked[self.updated]]
        _, y, kept, outputs = _while(
            lambda number, *_: number < count, group, 0, x, _array(count, x), outputs
        )
        return y, kept, [each.stack() for each in outputs]

    def _backward(self, gradient, kept, stacked):
        """Returns the gradients of x and of the stacked weights."""

        def group(number, gradient, gradients):
            start, stop = self._ends(number)
            inputs = self._inputs(kept.read(number), start, stop, stacked)

            def block(index, gradient, gradients):
                x, slices = inputs.read(index - start), _slices(stacked, index)
                gradient, *found = self._block_gradients(x, slices, gradient)
                return index - 1, gradient, _written(gradients, index, found)

            _, gradient, gradients = _while(
                lambda i, *_: i >= start, block, stop - 1, gradient, gradients
            )
            return number - 1, gradient, gradients

        gradients = [_array(self.depth, values[0]) for values in stacked[: self.updated.start]]
        _, gradient, gradients = _while(
            lambda number, *_: number >= 0, group, self._count - 1, gradient, gradients
        )
        return gradient, [each.stack() for each in gradients]

    def _inputs(self, x, start, stop, stacked):
        """Recomputes the input of every block of a group."""

        def block(index, x, inputs):
            x, _ = self.body(x, *_slices(stacked, index))
            return index + 1, x, inputs.write(index - start + 1, x)

        inputs = _array(self.size, x).write(0, x)
        return _while(lambda i, *_: i < stop - 1, block, start, x, inputs)[2]

    def _block_gradients(self, x, slices, gradient):
        import tensorflow as tf

        sources = [x, *slices[: self.updated.start]]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            y, _ = self.body(x, *slices)
        return tape.gradient(y, sources, gradient, unconnected_gradients="zero")

    @property
    def _count(self):
        return math.ceil(self.depth / self.size)

    def _ends(self, number):
        import tensorflow as tf

        return number * self.size, tf.minimum(self.depth, (number + 1) * self.size)


def _while(condition, step, start, *state):
    import tensorflow as tf

    state = (tf.convert_to_tensor(start), *state)
    return tf.while_loop(condition, step, state, parallel_iterations=1)


def _array(length, like):
    import tensorflow as tf

    return tf.TensorArray(like.dtype, length, element_shape=like.shape)


def _unstacked(values):
    import tensorflow as tf

    return tf.unstack(values)


def _slices(stacked, index):
    return [values[index] for values in stacked]


def _written(arrays, index, values):
    return [array.write(index, value) for array, value in zip(arrays, values, strict=True)]
