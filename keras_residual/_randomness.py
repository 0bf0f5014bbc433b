"""Random streams that a side computation must not advance."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Leaves the global generators of Python and NumPy as they were.

    Keras draws the seeds of initializers, dropout and shuffling from them. Counting or timing a
    network makes layers, and whether that is necessary depends on caches; without this, weights
    initialized afterwards would depend on what is cached.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
