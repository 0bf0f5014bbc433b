"""What must be installed: Keras' backend, and TensorFlow for some things on every backend."""

import importlib.util

_BACKENDS = ("tensorflow", "jax", "torch")


def tensorflow(what: str) -> None:
    """Raises an ImportError if TensorFlow is not installed.

    `pip install keras-residual` brings it; on JAX or PyTorch the package also works without, except
    for what calls this.

    Args:
        what: What needs it, as the subject of a sentence, such as "`data.pipeline`".
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(f"{what} needs TensorFlow on every backend: pip install tensorflow")


def explained(error: ImportError) -> str:
    """Returns the message of an error, or of a missing backend what to do."""
    missing = (error.name or "").partition(".")[0]
    if missing not in _BACKENDS:
        return str(error)
    others = [name for name in _BACKENDS if importlib.util.find_spec(name) is not None]
    choice = "".join(f", or set the environment variable KERAS_BACKEND={name}" for name in others)
    return (
        f"The backend of Keras is {missing}, which is not installed: pip install {missing}{choice}"
    )
