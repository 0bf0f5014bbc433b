"""Fixed seeds for every test, and a check that it leaves global settings unchanged."""

import gc
import os

# On JAX the tests spend their time compiling tiny functions, so the compiler should not try hard.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

import keras
import peers
import pytest
import write_long_tests


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks the tests that `long_tests.txt` names: they run with `pytest -m long`."""
    names = frozenset(write_long_tests.LIST.read_text(encoding="utf-8").splitlines())
    for item in items:
        if item.nodeid in names:
            item.add_marker("long")


@pytest.fixture(autouse=True)
def fixed_seeds_and_untouched_settings():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    before = (keras.config.dtype_policy().name, keras.config.image_data_format())
    yield
    after = (keras.config.dtype_policy().name, keras.config.image_data_format())
    assert after == before, "the test changed Keras' global settings"


@pytest.fixture(autouse=True, scope="module")
def memory_freed_between_modules():
    yield
    keras.utils.clear_session()
    # What is left is there to stay; looking through it after every module took a fifth of the time.
    gc.freeze()


@pytest.fixture(scope="session")
def torch():
    return peers.torch()


@pytest.fixture(scope="session")
def torchvision():
    return peers.torchvision()


@pytest.fixture(scope="session")
def timm():
    return peers.timm()
