"""Saliency: the contribution of each input value to a network's output."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.analysis._differentiation import gradient_of
from keras_residual.analysis._scores import (
    checked_inputs,
    chosen_classes,
    logits_of,
    one_hot,
    score,
)

METHODS = ("integrated_gradients", "smooth_grad", "gradient")


def saliency(
    model: keras.Model,
    x: Tensor,
    classes: int | Sequence[int] | np.ndarray | None = None,
    method: str = "integrated_gradients",
    *,
    baseline: Tensor = None,
    steps: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """Returns the contribution of each input value to the logit of a class.

    - `"integrated_gradients"`: the gradient averaged along the straight line from `baseline` to the
      input, times their difference. The contributions sum to the difference of the two logits, up
      to the error of the numerical integration.
    - `"smooth_grad"`: the gradient averaged over `steps` inputs with Gaussian noise.
    - `"gradient"`: the gradient at the input.

    Args:
        model: A built functional model with one input and one output.
        x: `(n, ...)`, floating-point inputs as the model takes them.
        classes: The class to explain: an integer, or one for each input. Defaults to the predicted.
        method: One of the three.
        baseline: An input without information, `(...)` or a number. Defaults to 0, which is black.
            Only for integrated gradients.
        steps: Positive integer, number of gradients for each input.
        noise: Standard deviation of the noise as a fraction of the range of each input's values.
            Only for `"smooth_grad"`.
        seed: Non-negative integer, of the noise.
        batch_size: Positive integer, number of gradients at a time.

    Returns:
        A float32 array of the shape of `x`, with signs.

    Raises:
        ValueError: If an argument does not fit the model, or has no effect with the method.

    Example:

    >>> values = saliency(model, images)  # doctest: +SKIP
    >>> values.shape == images.shape  # doctest: +SKIP
    True

    Reference:
        - [Sundararajan et al., 2017](https://arxiv.org/abs/1703.01365)
        - [Smilkov et al., 2017](https://arxiv.org/abs/1706.03825)
    """
    x = checked_inputs(model, x)
    _checks.choice("method", method, METHODS)
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        _checks.integer(name, value)
    _checks.seed(seed)
    _checks.real("noise", noise, 0, 10)
    if baseline is not None and method != "integrated_gradients":
        raise ValueError(
            '`baseline` has an effect with method="integrated_gradients" only. '
            f"Received: method={method!r}"
        )
    start = _checked_baseline(baseline, x)
    classes = chosen_classes(model, x, classes, batch_size)
    shares = one_hot(classes, model.outputs[0].shape[-1])
    with logits_of(model):
        gradient = gradient_of(lambda x, shares: score(model(x, training=False), shares))

        def mean_gradient(index, points):
            total = np.zeros(x.shape[1:], "float64")
            for part in _parts(points, batch_size):
                rows = np.repeat(shares[index : index + 1], len(part), axis=0)
                total += gradient(part, rows).sum(axis=0, dtype="float64")
            return total / len(points)

        if method == "gradient":
            rows = zip(_parts(x, batch_size), _parts(shares, batch_size), strict=True)
            return np.concatenate([gradient(*row) for row in rows]).astype("float32")
        results = []
        for index, value in enumerate(x):
            if method == "smooth_grad":
                results.append(mean_gradient(index, _noisy(value, steps, noise, (seed, index))))
            else:
                points = _line(start, value, steps)
                results.append((value - start) * mean_gradient(index, points))
    return np.stack(results).astype("float32")


def _checked_baseline(baseline, x):
    array = np.asarray(ops.convert_to_numpy(0.0 if baseline is None else baseline), "float32")
    if array.shape not in ((), x.shape[1:]) or not np.isfinite(array).all():
        raise ValueError(
            f"`baseline` must be a finite number or one input of shape {x.shape[1:]}. "
            f"Received: shape {array.shape}"
        )
    return np.broadcast_to(array, x.shape[1:])


def _parts(array, size):
    return [array[start : start + size] for start in range(0, len(array), size)]


def _line(start, end, steps):
    """Returns the midpoints of `steps` equal segments of the line between two inputs."""
    share = (np.arange(steps, dtype="float32") + 0.5) / steps
    return start + share.reshape(-1, *[1] * end.ndim) * (end - start)


def _noisy(value, steps, noise, seed):
    scale = noise * (value.max() - value.min())
    drawn = np.random.default_rng(seed).standard_normal((steps, *value.shape), "float32")
    return value + scale * drawn
