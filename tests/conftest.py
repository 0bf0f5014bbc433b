"""What every test starts from: fixed seeds, and global settings that it must leave alone."""

import gc
import os

# On JAX the tests spend their time compiling tiny functions, so the compiler should not try hard.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

import keras
import pytest


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
    return pytest.importorskip("torch", reason="PyTorch, a peer to compare with, is not installed")


@pytest.fixture(scope="session")
def torchvision(torch):
    try:
        import torchvision
    except ModuleNotFoundError:
        pytest.skip("torchvision, a peer to compare with, is not installed")
    except RuntimeError:
        # Beside a torch build without its C++ operators, it imports once these are declared.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

        torchvision.operators = library
    return torchvision


@pytest.fixture(scope="session")
def timm(torchvision):
    return pytest.importorskip("timm", reason="timm, a peer to compare with, is not installed")
