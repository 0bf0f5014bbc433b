"""Short trainings without TensorFlow's graph optimizer."""

import contextlib
from collections.abc import Iterator

import keras

from keras_residual.layers.devices import on_accelerator

# In longer trainings the time for optimizing graphs is negligible.
_MOST_STEPS = 2000


@contextlib.contextmanager
def started_quickly(steps: int) -> Iterator[None]:
    """Disables TensorFlow's graph optimizer for a short training on a CPU.

    Optimizing the graphs takes as long as hundreds of steps of a small network, and does not make
    training steps faster on a CPU, see `tests/benchmarks/graph_optimizer.py`. The setting is global
    and is restored afterwards.

    Args:
        steps: Number of training steps.
    """
    if keras.backend.backend() != "tensorflow" or steps > _MOST_STEPS or on_accelerator():
        yield
        return
    import tensorflow as tf

    name = "disable_meta_optimizer"
    before = tf.config.optimizer.get_experimental_options().get(name, False)
    tf.config.optimizer.set_experimental_options({name: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({name: before})
