"""JAX: custom reverse-mode derivatives of functions that stay differentiable in both modes.

A `jax.custom_vjp` has no forward mode. Here a function keeps its forward derivative, which is a
linear map; only the transpose of that map, which reverse mode needs, is custom.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LinearMap:
    """A linear function of tangents with a custom transpose.

    Attributes:
        forward: `(residuals, tangents) -> tuple`, linear in the tangents, composed of operations
            that JAX differentiates.
        transpose: `(residuals, cotangents) -> tuple`, one for each tangent.
    """

    forward: Callable[..., Any]
    transpose: Callable[..., Any]

    def __call__(
        self, residuals: tuple[Any, ...], tangents: tuple[Any, ...], outputs: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """Returns the map's value; `outputs` are arrays with the results' shapes and dtypes."""
        shapes = tuple((output.shape, output.dtype) for output in outputs)
        return tuple(
            _primitive().bind(
                *residuals, *tangents, function=self, count=len(residuals), outputs=shapes
            )
        )


@functools.cache
def _primitive():
    import jax
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    linear_map = Primitive("keras_residual_linear_map")
    linear_map.multiple_results = True

    def evaluate(*arguments, function, count, outputs):
        del outputs
        return list(function.forward(arguments[:count], arguments[count:]))

    def shapes(*_, outputs, **__):
        return [jax.core.ShapedArray(shape, dtype) for shape, dtype in outputs]

    def differentiate(primals, tangents, *, count, **options):
        if all(type(tangent) is ad.Zero for tangent in tangents[:count]):
            moved = [_instantiated(tangent) for tangent in tangents[count:]]
            return (
                linear_map.bind(*primals, count=count, **options),
                linear_map.bind(*primals[:count], *moved, count=count, **options),
            )
        moving = [i for i, tangent in enumerate(tangents) if type(tangent) is not ad.Zero]

        def of_moving(*values):
            arguments = list(primals)
            for i, value in zip(moving, values, strict=True):
                arguments[i] = value
            return evaluate(*arguments, count=count, **options)

        return jax.jvp(of_moving, [primals[i] for i in moving], [tangents[i] for i in moving])

    def transpose(cotangents, *arguments, function, count, outputs):
        del outputs
        cotangents = tuple(_instantiated(cotangent) for cotangent in cotangents)
        found = function.transpose(arguments[:count], cotangents)
        return [
            *[None] * count,
            *(
                value if ad.is_undefined_primal(argument) else None
                for argument, value in zip(arguments[count:], found, strict=True)
            ),
        ]

    def _instantiated(value):
        return (
            jax.numpy.zeros(value.aval.shape, value.aval.dtype)
            if isinstance(value, ad.Zero)
            else value
        )

    def batch(arguments, axes, **options):
        outputs = jax.vmap(functools.partial(evaluate, **options), axes)(*arguments)
        return outputs, [0] * len(outputs)

    linear_map.def_impl(evaluate)
    linear_map.def_abstract_eval(shapes)
    ad.primitive_jvps[linear_map] = differentiate
    ad.primitive_transposes[linear_map] = transpose
    batching.primitive_batchers[linear_map] = batch
    mlir.register_lowering(linear_map, mlir.lower_fun(evaluate, multiple_results=True))
    return linear_map


def is_zero(tangent) -> bool:
    """Returns whether a tangent handed to a rule with `symbolic_zeros=True` is zero."""
    from jax.custom_derivatives import SymbolicZero

    return isinstance(tangent, SymbolicZero)
