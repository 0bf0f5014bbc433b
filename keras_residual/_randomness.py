"""Protection of the global random state from computations that must not change it."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Restores the global generators of Python and NumPy at the end of the block.

    Keras draws the seeds of initializers, dropout and shuffling from them. Counting or timing a
    network builds layers unless the result is cached; without this, weights initialized
    afterwards would depend on the cache.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
