"""Loops over time and custom gradients, implemented once for each Keras backend."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops


def scan_steps(
    step: Callable[..., Any],
    carry: tuple[Any, ...],
    inputs: Sequence[Any],
    outputs: Sequence[tuple[tuple[Any, ...], str]],
    length,
    *,
    reverse: bool = False,
    unroll: bool = False,
    differentiated: bool = False,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Runs `carry, outputs[t] = step(carry, inputs[t])` for `t` from 0 to `length - 1`.

    Args:
        step: `(carry, slices) -> (carry, emitted)`, both tuples of tensors.
        carry: Tensors handed from one step to the next.
        inputs: Tensors whose leading axis has size `length`; `None` is passed through.
        outputs: The `(shape, dtype)` of each tensor that a step emits.
        length: Number of steps; an integer, or on TensorFlow a scalar tensor.
        reverse: Whether to go from the last step to the first.
        unroll: Whether to unroll the loop.
        differentiated: Whether the backend computes the gradient of the loop.

    Returns:
        The last carry, and the emitted tensors stacked along a new leading axis.
    """
    backend = keras.backend.backend()
    if unroll or backend == "torch":
        return _scan_unrolled(step, carry, inputs, outputs, length, reverse)
    if backend == "tensorflow":
        return _scan_tensorflow(step, carry, inputs, outputs, length, reverse, differentiated)
    return _scan_jax(step, carry, inputs, reverse)


def _scan_unrolled(step, carry, inputs, outputs, length, reverse):
    emitted = [None] * length
    for t in reversed(range(length)) if reverse else range(length):
        carry, emitted[t] = step(carry, tuple(None if x is None else x[t] for x in inputs))
    if length == 0:
        return carry, tuple(ops.zeros((0, *shape), dtype) for shape, dtype in outputs)
    return carry, tuple(ops.stack(column) for column in zip(*emitted, strict=True))


def _scan_tensorflow(step, carry, inputs, outputs, length, reverse, differentiated):
    import tensorflow as tf

    reads = [
        x
        if x is None
        else tf.TensorArray(x.dtype, size=length, element_shape=x.shape[1:]).unstack(x)
        for x in inputs
    ]
    writes = tuple(tf.TensorArray(dtype, size=length, element_shape=s) for s, dtype in outputs)

    def body(i, carry, writes):
        t = length - 1 - i if reverse else i
        carry, emitted = step(carry, tuple(None if r is None else r.read(t) for r in reads))
        return i + 1, carry, tuple(w.write(t, e) for w, e in zip(writes, emitted, strict=True))

    _, carry, writes = tf.while_loop(
        lambda i, *_: i < length,
        body,
        (0, carry, writes),
        # XLA asks for it to find a gradient; counting the steps twice costs 7 to 10 % of the time.
        maximum_iterations=length if differentiated else None,
    )
    return carry, tuple(w.stack() for w in writes)


def _scan_jax(step, carry, inputs, reverse):
    import jax

    return jax.lax.scan(step, carry, tuple(inputs), reverse=reverse)


@functools.lru_cache(maxsize=256)
def compiled(function: Callable[..., Any], *static) -> Callable[..., Any]:
    """Returns `function(*static, *tensors)` as a function of tensors, by XLA on TensorFlow.

    Calls with equal `static` share one compilation per shape; so do layers of equal configuration.
    """
    import tensorflow as tf

    return tf.function(functools.partial(function, *static), jit_compile=True, autograph=False)


def with_gradient(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: Sequence[Any],
    expected: bool,
    plain: Callable[..., Any],
) -> tuple[Any, ...]:
    """Returns `forward`'s outputs for `arguments`, with `backward` as their gradient.

    Args:
        forward: `(save, *arguments) -> (outputs, saved)`; `saved` is used only with `save`.
        backward: `(saved, *gradients of the outputs) -> gradients of the arguments`, `None` where
            an argument has none.
        arguments: Tensors; `None` is passed through.
        expected: Whether a gradient is likely to be requested. TensorFlow cannot know that while it
            builds a graph; values that were not saved are then recomputed.
        plain: `(*arguments) -> outputs`, the same function in a form that TensorFlow can
            differentiate twice; it is called only for gradients of gradients.

    Returns:
        The tuple of outputs.
    """
    present = [i for i, argument in enumerate(arguments) if argument is not None]

    def completed(given):
        full = [None] * len(arguments)
        for i, value in zip(present, given, strict=True):
            full[i] = value
        return full

    def run(save, *given):
        return forward(save, *completed(given))

    def differentiate(saved, gradients):
        full = backward(saved, *gradients)
        return tuple(full[i] for i in present)

    given = [arguments[i] for i in present]
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _with_gradient_tensorflow(
            run, differentiate, given, expected, lambda *given: plain(*completed(given))
        )
    if backend == "jax":
        return _with_gradient_jax(run, differentiate, given)
    return _with_gradient_torch(run, differentiate, given)


def _with_gradient_tensorflow(run, differentiate, arguments, expected, plain):
    import tensorflow as tf

    @tf.custom_gradient
    def function(*arguments):
        # Under two tapes at once TensorFlow would prepare its own gradient of the loop.
        constant = [tf.stop_gradient(argument) for argument in arguments]
        outputs, saved = run(expected, *constant)

        def gradient(*gradients):
            return twice_differentiable_tensorflow(
                lambda *gradients: differentiate(
                    saved if expected else run(True, *constant)[1], gradients
                ),
                plain,
                arguments,
                gradients,
            )

        return outputs, gradient

    return function(*arguments)


def twice_differentiable_tensorflow(compute, plain, arguments, gradients) -> tuple[Any, ...]:
    """Returns `compute(*gradients)`, the gradients of `plain`, in a form that is differentiable.

    Custom gradients contain loops that TensorFlow cannot differentiate, or not under XLA. Second
    derivatives are therefore those of `plain`, which TensorFlow differentiates.

    Args:
        compute: `(*gradients of the outputs) -> tuple`, the gradient of each argument, `None` where
            there is none.
        plain: `(*arguments) -> tuple of outputs`.
        arguments: Tensors.
        gradients: Those of the outputs.
    """
    import tensorflow as tf

    moving = [i for i, argument in enumerate(arguments) if argument.dtype.is_floating]
    count = len(arguments)

    @tf.custom_gradient
    def function(*values):
        found = compute(*[tf.stop_gradient(value) for value in values[count:]])
        zeros = [tf.zeros_like(arguments[i]) if found[i] is None else found[i] for i in moving]

        def gradient(*cotangents):
            with tf.GradientTape() as outer:
                outer.watch(values)
                with tf.GradientTape() as inner:
                    inner.watch(values[:count])
                    outputs = plain(*values[:count])
                sources = [values[i] for i in moving]
                first = inner.gradient(
                    outputs, sources, values[count:], unconnected_gradients="zero"
                )
            return outer.gradient(first, values, cotangents, unconnected_gradients="zero")

        return tuple(zeros), gradient

    found = iter(function(*arguments, *gradients))
    return tuple(next(found) if i in moving else None for i in range(count))


def _with_gradient_jax(run, differentiate, arguments):
    import jax

    from keras_residual.layers.linear_maps import LinearMap, is_zero

    @jax.custom_jvp
    def function(*arguments):
        return tuple(run(False, *arguments)[0])

    def rule(primals, tangents):
        outputs, saved = run(True, *primals)
        moving = [i for i, tangent in enumerate(tangents) if not is_zero(tangent)]
        residuals, structure = jax.tree.flatten((primals, saved))

        def forward(residuals, tangents):
            primals, _ = jax.tree.unflatten(structure, residuals)

            def of_moving(*values):
                given = list(primals)
                for i, value in zip(moving, values, strict=True):
                    given[i] = value
                return tuple(run(False, *given)[0])

            return jax.jvp(of_moving, tuple(primals[i] for i in moving), tuple(tangents))[1]

        def transpose(residuals, cotangents):
            _, saved = jax.tree.unflatten(structure, residuals)
            found = differentiate(saved, cotangents)
            return tuple(found[i] for i in moving)

        outputs = tuple(outputs)
        chosen = tuple(tangents[i] for i in moving)
        return outputs, LinearMap(forward, transpose)(tuple(residuals), chosen, outputs)

    function.defjvp(rule, symbolic_zeros=True)
    return function(*arguments)


def _with_gradient_torch(run, differentiate, arguments):
    import torch

    if not (torch.is_grad_enabled() and any(x.requires_grad for x in arguments)):
        return run(False, *arguments)[0]

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(context, *arguments):
            outputs, saved = run(True, *arguments)
            context.kept = [i for i, value in enumerate(saved) if value is not None]
            context.size = len(saved)
            context.save_for_backward(*arguments, *(saved[i] for i in context.kept))
            return outputs

        @staticmethod
        def backward(context, *gradients):
            given = context.saved_tensors[: len(arguments)]
            if torch.is_grad_enabled():
                return _gradients_with_graph(context.needs_input_grad, run, given, gradients)
            saved = [None] * context.size
            for i, value in zip(context.kept, context.saved_tensors[len(given) :], strict=True):
                saved[i] = value
            return differentiate(tuple(saved), gradients)

    return Function.apply(*arguments)


def _gradients_with_graph(needed, run, arguments, gradients):
    """Returns differentiable gradients by recording the forward pass again."""
    import torch

    sources = [x for x, need in zip(arguments, needed, strict=True) if need]
    outputs = run(False, *arguments)[0]
    found = iter(torch.autograd.grad(outputs, sources, gradients, create_graph=True))
    return tuple(next(found) if need else None for need in needed)
