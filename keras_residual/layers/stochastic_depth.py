import functools
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._docstrings import completed
from keras_residual._types import Shape, Tensor
from keras_residual.layers.registration import registered
from keras_residual.layers.seeds import seed_generator


class _DroppingLayer(keras.layers.Layer):
    """Base of the layers that drop or scale tensors at random with probability `rate`."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = _checks.real("rate", rate, 0.0, 1.0, open_end=True)
        self.seed = None if seed is None else _checks.seed(seed)
        self.seed_generator = seed_generator(self.seed)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@registered
class StochasticDepth(_DroppingLayer):
    """Drops the whole input of randomly chosen samples while training ("drop path").

    Kept samples are divided by `1 - rate`, so that the expectation is unchanged; at inference the
    input is returned unchanged.

    Args:
        rate: Probability of dropping a sample, in `[0, 1)`.
        seed: Optional integer seed.

    Call arguments:
        inputs: `(batch, ...)`, floating point.
        training: Whether to draw random numbers.
        rate: Optional scalar that takes the place of the layer's rate in this call.

    Returns:
        Same shape as the inputs.

    Raises:
        ValueError: If `rate` is not in `[0, 1)`.

    Reference:
        - [Huang et al., 2016](https://arxiv.org/abs/1603.09382)
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__doc__ = completed(cls.__doc__, {"StochasticDepth": StochasticDepth.__doc__})

    def call(
        self, inputs: Tensor, training: bool | None = None, rate: Tensor | float | None = None
    ) -> Tensor:
        if not training or (rate is None and self.rate == 0.0):
            return inputs
        keep = 1.0 - ops.cast(self.rate if rate is None else rate, "float32")
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        factor = ops.where(drawn < keep, 1.0 / keep, 0.0)
        return inputs * ops.cast(factor, inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@registered
class ShakeShake(keras.layers.Layer):
    """Mixes two tensors with random weights, drawn separately for the forward and backward pass.

    Forward α·x + (1 - α)·y and backward β and 1 - β, both drawn from [0, 1] for each sample; at
    inference (x + y) / 2, the expectation.

    Args:
        seed: Optional integer seed.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: x, `(batch, ...)`, floating point.
        second: y, of the same shape. Defaults to `inputs`.
        training: Whether the weights are random.

    Returns:
        Same shape as the inputs.

    Raises:
        ValueError: If `seed` is not an integer.

    Reference:
        - [Gastaldi, 2017](https://arxiv.org/abs/1705.07485), "Shake-Shake-Image"
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = None if seed is None else _checks.seed(seed)
        self.seed_generator = seed_generator(self.seed)
        self.built = True

    def call(
        self, inputs: Tensor, second: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        x, y = inputs, inputs if second is None else second
        if not training:
            return (x + y) * 0.5
        shape = (2, ops.shape(x)[0]) + (1,) * (len(x.shape) - 1)
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        forward, backward = (ops.cast(drawn[index], x.dtype) for index in (0, 1))
        # The value of one mixture with the gradient of the other.
        mixed = x * backward + y * (1 - backward)
        return mixed + ops.stop_gradient((forward - backward) * (x - y))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


@registered
class MeanOfPaths(_DroppingLayer):
    """The mean of several tensors, in training of those that drop path keeps.

    Each tensor is dropped with probability `rate`, for each sample; at least one is always kept. A
    sample for which one tensor is chosen takes only that one.

    Args:
        rate: Probability of dropping a tensor, in `[0, 1)`.
        seed: Optional integer seed.
        **kwargs: Arguments of `keras.layers.Layer`.

    Reference:
        - [Larsson et al., 2017](https://arxiv.org/abs/1605.07648), local drop path
    """

    def call(
        self, inputs: list[Tensor], training: bool | None = None, chosen: Tensor | None = None
    ) -> Tensor:
        """Returns the mean; `chosen`, `(tensors, batch, 1, …)`, is 1 where a sample takes one."""
        if not training or (self.rate == 0.0 and chosen is None):
            return _sum(inputs) * (1.0 / len(inputs))
        first = inputs[0]
        shape = (len(inputs), ops.shape(first)[0]) + (1,) * (len(first.shape) - 1)
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        # The tensor with the largest number is always kept: a random one if all are dropped.
        kept = ops.logical_or(drawn >= self.rate, drawn == ops.max(drawn, axis=0))
        kept = ops.cast(kept, "float32")
        if chosen is not None:
            kept = ops.where(ops.any(chosen > 0, axis=0, keepdims=True), chosen, kept)
        shares = ops.cast(kept / ops.sum(kept, axis=0), first.dtype)
        return _sum([x * shares[index] for index, x in enumerate(inputs)])

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        return input_shape[0]


def _sum(tensors):
    return functools.reduce(ops.add, tensors)


@registered
class ShakeDrop(StochasticDepth):
    """Scales its input by random numbers, drawn separately for the forward and backward pass.

    Forward x · (b + α - b·α) and backward b + β - b·β, where b is 1 with probability `1 - rate`,
    and α is drawn from [-1, 1] and β from [0, 1], all for each sample; at inference x · (1 - rate),
    the expectation.

    Args:
        rate: Probability that the input is scaled by α, in `[0, 1)`.
        **kwargs: Those of `StochasticDepth`.

    Reference:
        - [Yamada et al., 2019](https://arxiv.org/abs/1802.02375), their level "image"
    """

    def call(
        self, inputs: Tensor, training: bool | None = None, rate: Tensor | float | None = None
    ) -> Tensor:
        if rate is None and self.rate == 0.0:
            return inputs
        keep = 1.0 - ops.cast(self.rate if rate is None else rate, "float32")
        if not training:
            return inputs * ops.cast(keep, inputs.dtype)
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        drawn = keras.random.uniform((3, *shape), dtype="float32", seed=self.seed_generator)
        kept = ops.cast(drawn[0] < keep, "float32")
        forward = ops.cast(kept + (1.0 - kept) * (2.0 * drawn[1] - 1.0), inputs.dtype)
        backward = ops.cast(kept + (1.0 - kept) * drawn[2], inputs.dtype)
        # The value of the first product with the gradient of the second.
        return inputs * backward + ops.stop_gradient(inputs * (forward - backward))
