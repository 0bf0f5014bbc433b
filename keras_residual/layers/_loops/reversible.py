"""A sequence of reversible blocks whose backward pass recomputes inputs from outputs."""

import contextlib
from typing import Any

import keras
from keras import ops

from keras_residual.layers._loops.backends import with_gradient
from keras_residual.layers._loops.rematerialize import tied_tensorflow


def call_reversible(blocks: list[Any], x1, x2) -> tuple[Any, ...]:
    """Returns both halves of the output of reversible blocks in training; stores nothing else.

    In the backward pass each block recomputes its input from its output, x₂ = y₂ - G(y₁) and
    x₁ = y₁ - F(x₂), and the activations inside F and G, so that memory does not grow with the
    number of blocks. Moving statistics are updated once, by the forward pass.

    Args:
        blocks: Blocks with `f` and `g` that keep the shape.
        x1: First half of the channels.
        x2: Second half.
    """
    row = _Row([function for block in blocks for function in (block.f, block.g)])
    y1, y2, *updates = with_gradient(
        row.forward,
        row.backward,
        [x1, x2, *row.values()],
        expected=True,
        plain=lambda *arguments: row.forward(False, *arguments)[0],
    )
    for variable, value in zip(row.statistics, updates, strict=True):
        variable.assign(value)
    return y1, y2


class _Row:
    """The functions of the blocks in order.

    Weights and moving statistics are passed as arguments; the states of random generators are
    constants, so that both passes draw the same numbers.
    """

    def __init__(self, functions):
        self.functions = functions
        self.weights = [f.trainable_variables for f in functions]
        self.seeds = [_new_seeds(f) for f in functions]
        kept = [[v for v in f.non_trainable_variables if _is_floating(v)] for f in functions]
        self.counts = [len(variables) for variables in kept]
        self.statistics = [variable for variables in kept for variable in variables]

    def values(self) -> list[Any]:
        """Returns the values of weights and statistics."""
        weights = [ops.convert_to_tensor(v.value) for row in self.weights for v in row]
        # Copied, because the originals are overwritten before the backward pass reads them.
        return weights + [ops.copy(v.value) for v in self.statistics]

    def _calls(self, flat):
        """Returns each function's weights, and the function with its statistics and seeds bound."""
        flat = iter(flat)
        weights = [[next(flat) for _ in row] for row in self.weights]
        statistics = [[next(flat) for _ in range(count)] for count in self.counts]
        calls = zip(self.functions, statistics, self.seeds, strict=True)
        return list(zip(weights, [_Call(*call) for call in calls], strict=True))

    def forward(self, save, x1, x2, *flat):
        updates = []
        for weights, call in self._calls(flat):
            out, updated = call(x2, *weights)
            # Each function adds to the other half, and the two swap.
            x1, x2 = x2, x1 + out
            updates += updated
        return (x1, x2, *updates), (x1, x2, *flat)

    def backward(self, saved, d1, d2, *_):
        y1, y2, *flat = saved
        gradients = []
        for weights, call in self._calls(flat)[::-1]:
            y1, y2 = _after((y1, y2), d2)
            out, (dx, *found) = _differentiated(call, (y1, *weights), d2)
            y1, y2, d1, d2 = y2 - out, y1, d2, d1 + dx
            gradients[:0] = found
        return (d1, d2, *gradients, *[None] * len(self.statistics))


class _Call:
    """A function with its statistics and the states of its random generators bound."""

    def __init__(self, function, statistics, seeds):
        self.function = function
        self.variables = function.non_trainable_variables
        statistics, seeds = iter(statistics), iter(seeds)
        self.state = [next(statistics if _is_floating(v) else seeds) for v in self.variables]

    def __call__(self, x, *weights):
        """Returns the output and the new statistics."""
        with self._repeatable():
            out, updated = self.function.stateless_call(list(weights), self.state, x, training=True)
        pairs = zip(self.variables, updated, strict=True)
        return out, [value for variable, value in pairs if _is_floating(variable)]

    def _repeatable(self):
        """Makes PyTorch's own generator, from which Keras' dropout draws there, draw the same."""
        seeds = [s for v, s in zip(self.variables, self.state, strict=True) if not _is_floating(v)]
        if keras.backend.backend() != "torch" or not seeds:
            return contextlib.nullcontext()
        return _seeded_torch(sum(int(ops.sum(seed)) for seed in seeds))


@contextlib.contextmanager
def _seeded_torch(seed):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _is_floating(variable) -> bool:
    return keras.backend.is_float_dtype(variable.dtype)


def _new_seeds(function) -> list[Any]:
    """Draws new states for the random generators of a function from these generators."""
    layers = (function.drop_path, function.dropout)
    generators = [layer.seed_generator for layer in layers if layer is not None]
    drawn = []
    for variable in function.non_trainable_variables:
        if _is_floating(variable):
            continue
        generator = next(g for g in generators if g.state is variable)
        seeds = keras.random.randint(variable.shape, 0, 2**31 - 1, seed=generator)
        drawn.append(ops.cast(seeds, variable.dtype))
    return drawn


def _after(values, gradient) -> tuple[Any, ...]:
    """Returns values that are computed only after a gradient, instead of early and stored."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.lax.optimization_barrier((*values, gradient))[:-1]
    if backend == "tensorflow":
        import tensorflow as tf

        return values if tf.executing_eagerly() else tied_tensorflow(values, gradient)
    return values


def _differentiated(function, arguments, gradient) -> tuple[Any, ...]:
    """Returns a function's first output and its gradients with respect to the arguments."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        value, pull, _ = jax.vjp(function, *arguments, has_aux=True)
        return value, pull(gradient)
    if backend == "tensorflow":
        import tensorflow as tf

        given = [tf.identity(value) for value in arguments]
        with tf.GradientTape() as tape:
            tape.watch(given)
            value, _ = function(*given)
        return value, tape.gradient(value, given, gradient, unconnected_gradients="zero")
    import torch

    with torch.enable_grad():
        given = [value.detach().requires_grad_() for value in arguments]
        value, _ = function(*given)
        found = torch.autograd.grad(value, given, gradient, allow_unused=True)
    return value.detach(), found
