"""The outputs of the frozen part of a network, computed once and cached."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_residual.training.steps import makes_batches_in_step

# Outputs of more bytes are cached in a file.
IN_MEMORY = 2**29
# Outputs of more bytes are not cached.
LARGEST = 2**34
# Largest number in half precision.
_LARGEST_HALF = 6e4


@dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs of a frozen part for images, in several versions with different augmentation.

    Attributes:
        values: `(versions · count, *shape)`, float32 for vectors, float16 for maps.
        targets: `(versions · count, ...)`, the targets of each.
        versions: Number of versions of each image.
    """

    values: np.ndarray
    targets: np.ndarray
    versions: int

    @property
    def count(self) -> int:
        """Number of images of one version."""
        return len(self.values) // self.versions

    @property
    def in_memory(self) -> bool:
        """Whether the values are in memory and not in a file."""
        return not isinstance(self.values, np.memmap)


def bytes_needed(frozen: keras.Model, count: int) -> float:
    """Returns the size in bytes of the outputs for `count` images, infinity if it is unknown."""
    shape = frozen.output_shape[1:]
    return math.inf if None in shape else count * math.prod(shape) * _dtype(shape).itemsize


def compute(
    forward: Callable[[Any], np.ndarray],
    batches_of: Callable[[int], Iterable[Any]],
    versions: int,
    file: Path,
    report: Callable[[int], None] = lambda count: None,
) -> Outputs:
    """Runs images through the frozen part of a network.

    Args:
        forward: The part as a function, see `make_forward`.
        batches_of: Maps the number of a version to its batches `(inputs, targets)`.
        versions: Number of versions.
        file: File for outputs that are too large for memory.
        report: Called with the number of images in each finished batch.
    """
    store, targets = _Store(file), []
    for version in range(versions):
        for inputs, target, *_ in batches_of(version):
            store.keep(forward(inputs))
            targets.append(to_numpy(target))
            report(len(targets[-1]))
    return Outputs(store.all(), np.concatenate(targets), versions)


class _Store:
    """Stores arrays one after the other, in memory or, beyond a certain size, in a file."""

    def __init__(self, file: Path):
        self.file, self.stream = file, None
        self.shape, self.rows, self.bytes = None, 0, 0
        self._waiting = []

    def keep(self, outputs: np.ndarray) -> None:
        """Appends some outputs."""
        self.shape = outputs.shape[1:]
        self.dtype = _dtype(self.shape)
        if self.dtype == np.float16:
            outputs = np.clip(outputs, -_LARGEST_HALF, _LARGEST_HALF)
        outputs = np.ascontiguousarray(outputs, self.dtype)
        self.rows += len(outputs)
        self.bytes += outputs.nbytes
        self._waiting.append(outputs)
        if self.bytes > IN_MEMORY:
            self._write()

    def _write(self):
        if self.stream is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.stream = self.file.open("wb")
        for outputs in self._waiting:
            self.stream.write(outputs)
        self._waiting = []

    def all(self) -> np.ndarray:
        """Returns all outputs as one array."""
        if self.stream is None:
            return np.concatenate(self._waiting)
        self._write()
        self.stream.close()
        return np.memmap(self.file, self.dtype, "r", shape=(self.rows, *self.shape))


def _dtype(shape) -> np.dtype:
    return np.dtype(np.float16 if len(shape) > 1 else np.float32)


def make_forward(frozen: keras.Model) -> Callable[[Any], np.ndarray]:
    """Returns the fastest function from inputs to outputs that is accurate to a percent.

    If TensorFlow runs on a processor with bfloat16 instructions, a copy of the part computes in
    bfloat16: ResNet-50 up to `stage3` takes half of the time, and the outputs differ by 1.3 % on
    average. The choice depends only on the processor, so that an interrupted training resumes with
    the same numbers.
    """
    if computes_in_bfloat16() and _is_float32(frozen):
        frozen = _in_bfloat16(frozen)
    return lambda inputs: _predict(frozen, inputs)


def _predict(frozen, inputs) -> np.ndarray:
    outputs = frozen.predict_on_batch(inputs)
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")))


def computes_in_bfloat16() -> bool:
    """Returns whether TensorFlow runs on a processor with bfloat16 instructions."""
    if keras.backend.backend() != "tensorflow":
        return False
    if any("cpu" not in device for device in keras.distribution.list_devices()):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def _is_float32(model) -> bool:
    return all(layer.dtype_policy.name == "float32" for layer in model.layers)


def _in_bfloat16(model: keras.Model) -> keras.Model:
    def copy(layer):
        config = layer.get_config()
        if not isinstance(layer, keras.layers.InputLayer):
            config["dtype"] = "mixed_bfloat16"
        return type(layer).from_config(config)

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied


def source(data: Any, steps: int | None = None) -> Callable[[int], Iterator[Any]]:
    """Returns a function from the number of an epoch to that epoch's batches.

    Args:
        data: Training batches, as for `training.fit`.
        steps: Number of batches in an epoch, `None` if the data is finite.
    """
    if makes_batches_in_step(data):
        return lambda epoch: _made(data, epoch)
    if callable(data):
        return lambda epoch: itertools.islice(iter(data(epoch)), steps)
    return lambda epoch: itertools.islice(iter(data), steps)


def _made(data, epoch) -> Iterator[tuple[Any, ...]]:
    """Yields the batches of an epoch that are otherwise made inside the step."""
    arrays = tuple(keras.ops.convert_to_tensor(array) for array in data.arrays)
    number = keras.ops.convert_to_tensor(epoch, dtype="int32")
    for order in data.order(epoch):
        for row in order:
            yield data.make(arrays, keras.ops.convert_to_tensor(row), number)


def to_numpy(value) -> np.ndarray:
    """Returns a tensor of any library as an array."""
    return np.asarray(value if isinstance(value, np.ndarray) else keras.ops.convert_to_numpy(value))
