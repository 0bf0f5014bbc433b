"""Looping one block over weights stacked on a leading axis, inside the compiled graph."""

from collections.abc import Callable

import keras
from keras import ops

# body(x, *slices) -> (x, updates): one block with the weights of one step.
Body = Callable[..., tuple[object, list]]


def scan(body: Body, x, stacked: list, depth: int, updated: list):
    """Runs `body` over the leading axis of `stacked`; returns x and the stacked updates.

    `updated` are those of `stacked` whose new values `body` returns.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _scan_tensorflow(body, x, stacked, depth, updated)
    if backend == "jax":
        return _scan_jax(body, x, stacked)
    return scan_in_python(body, x, stacked, depth)


def scan_in_python(body: Body, x, stacked, depth):
    """The portable form: a Python loop, which a compiler sees unrolled."""
    updates = []
    for index in range(depth):
        x, update = body(x, *[values[index] for values in stacked])
        updates.append(update)
    return x, [ops.stack(values) for values in zip(*updates, strict=True)]


def _scan_jax(body: Body, x, stacked):
    import jax

    return jax.lax.scan(lambda x, slices: body(x, *slices), x, stacked)


def _scan_tensorflow(body: Body, x, stacked, depth, updated):
    import tensorflow as tf

    # TensorArrays, since the gradient of slicing a stacked tensor adds a tensor of its full size
    # at every step; ops.scan wants outputs shaped like the carry.
    def array(values):
        return tf.TensorArray(values.dtype, depth, element_shape=values.shape[1:])

    inputs = [array(values).unstack(values) for values in stacked]

    def step(index, x, outputs):
        x, updates = body(x, *[values.read(index) for values in inputs])
        pairs = zip(outputs, updates, strict=True)
        return index + 1, x, [values.write(index, update) for values, update in pairs]

    _, x, outputs = tf.while_loop(
        lambda index, *_: index < depth,
        step,
        (tf.constant(0), x, [array(values) for values in updated]),
        parallel_iterations=1,
        maximum_iterations=depth,
    )
    return x, [values.stack() for values in outputs]
