import gc

import pytest


@pytest.fixture(scope="module")
def quick_garbage_collection():
    """Keras Tuner collects all garbage twice a trial, which costs more than a tiny network."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
