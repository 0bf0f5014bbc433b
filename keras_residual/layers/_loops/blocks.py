"""Looping one block over weights stacked on a leading axis, inside the compiled graph."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_residual.layers._loops.grouped import GroupedLoop
from keras_residual.layers._loops.rematerialize import rematerialize

# body(x, *slices) -> (x, updates): one block with the weights of one step.
Body = Callable[..., tuple[object, list]]


def scan_blocks(body: Body, x, stacked: list[Any], updated: slice):
    """Runs `body` over the leading axis of `stacked`; returns x and the stacked updates.

    `stacked[updated]` are the values that `body` returns updated; the weights precede them.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _scan_tensorflow(body, x, stacked, updated)
    if backend == "jax":
        return _scan_jax(body, x, stacked)
    return scan_in_python(body, x, stacked)


def scan_blocks_rematerialized(body: Body, x, stacked: list[Any], updated: slice):
    """`scan_blocks` that stores x only every √depth blocks and recomputes the blocks between."""
    depth = stacked[0].shape[0]
    size = max(1, round(math.sqrt(depth)))
    if keras.backend.backend() == "tensorflow":
        return GroupedLoop(body, depth, size, updated)(x, stacked)
    whole = depth // size * size

    group = rematerialize(lambda x, *slices: scan_blocks(body, x, list(slices), updated))
    # Not even a slice of everything: its gradient would be a copy of everything.
    first = stacked if whole == depth else [v[:whole] for v in stacked]
    grouped = [ops.reshape(v, (whole // size, size, *v.shape[1:])) for v in first]
    x, updates = scan_blocks(group, x, grouped, updated)
    updates = [ops.reshape(v, (whole, *v.shape[2:])) for v in updates]
    if whole < depth:
        x, rest = group(x, *[v[whole:] for v in stacked])
        updates = [ops.concatenate(pair) for pair in zip(updates, rest, strict=True)]
    return x, updates


def scan_in_python(body: Body, x, stacked):
    """Portable implementation: a Python loop, which is unrolled when compiled."""
    updates = []
    for index in range(stacked[0].shape[0]):
        x, update = body(x, *[values[index] for values in stacked])
        updates.append(update)
    return x, [ops.stack(values) for values in zip(*updates, strict=True)]


def _scan_jax(body: Body, x, stacked):
    import jax

    return jax.lax.scan(lambda x, slices: body(x, *slices), x, stacked)


def _scan_tensorflow(body: Body, x, stacked, updated):
    import tensorflow as tf

    depth = stacked[0].shape[0]

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
        (tf.constant(0), x, [array(values) for values in stacked[updated]]),
        parallel_iterations=1,
        maximum_iterations=depth,
    )
    return x, [values.stack() for values in outputs]
