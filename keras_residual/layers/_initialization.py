"""The default initialization of kernels."""

import math
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from keras import ops

from keras_residual.layers.registration import registered

_CHUNK = 2**18


@registered
class FanOutHeNormal(keras.initializers.VarianceScaling):
    """He normal by fan-out, the papers' initialization: std = sqrt(2 / (k² · filters)).

    Values are drawn by NumPy, so that a seed gives the same values on every backend, and because
    JAX compiles its generator for each shape: with NumPy, ResNet-1001 builds in 5 instead of 11
    seconds of CPU time.

    Args:
        seed: Integer, or `None` for one from Keras' global generator.
    """

    def __init__(self, seed: int | None = None):
        super().__init__(2.0, "fan_out", "untruncated_normal", seed)

    def __call__(self, shape, dtype=None):
        *kernel_size, _, filters = shape
        scale = math.sqrt(2 / (math.prod(kernel_size) * filters))
        values = _normal(self.seed, shape, scale)
        return ops.convert_to_tensor(values, dtype or keras.config.floatx())

    def get_config(self):
        return {"seed": super().get_config()["seed"]}


def _normal(seed, shape, scale) -> np.ndarray:
    """Draws in chunks, in several threads; the values do not depend on the number of threads."""
    values = np.empty(math.prod(shape), np.float32)

    def draw(seed, chunk):
        np.random.default_rng(seed).standard_normal(dtype=np.float32, out=chunk)
        chunk *= scale

    if values.size <= _CHUNK:
        draw(seed, values)
    else:
        chunks = [values[start : start + _CHUNK] for start in range(0, values.size, _CHUNK)]
        seeds = np.random.SeedSequence(seed).spawn(len(chunks))
        with ThreadPoolExecutor() as pool:
            list(pool.map(draw, seeds, chunks))
    return values.reshape(shape)
