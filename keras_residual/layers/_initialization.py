"""The default initialization of kernels."""

import math

import keras
import numpy as np
from keras import ops

from keras_residual.layers._registration import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class FanOutHeNormal(keras.initializers.VarianceScaling):
    """He normal by fan-out, the papers' initialization: std = sqrt(2 / (k² · filters)).

    Drawn by NumPy, so that a seed gives the same values on every backend, and because JAX compiles
    its generator for each shape: ResNet-1001 builds in 5 instead of 11 seconds of a CPU's time.

    Args:
        seed: Integer, or `None` for one from Keras' global generator.
    """

    def __init__(self, seed: int | None = None):
        super().__init__(2.0, "fan_out", "untruncated_normal", seed)

    def __call__(self, shape, dtype=None):
        *kernel_size, _, filters = shape
        values = np.random.default_rng(self.seed).standard_normal(shape, np.float32)
        values *= math.sqrt(2 / (math.prod(kernel_size) * filters))
        return ops.convert_to_tensor(values, dtype or keras.config.floatx())

    def get_config(self):
        return {"seed": super().get_config()["seed"]}
