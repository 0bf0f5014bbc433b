"""Random numbers as a hash of `(seed, epoch, index, draw)`, and the table of all draws.

The augmentation of an example does not depend on batch size, order, backend or process, and a
resumed training sees the same data as an uninterrupted one. The functions take NumPy arrays,
TensorFlow tensors (also inside the `map` of a `tf.data` pipeline, under any backend) and the
tensors of the active Keras backend (also inside a compiled step), and return the same kind.
"""

import numbers
import sys
from types import ModuleType
from typing import Any

import keras
import numpy as np

Tensor = Any

_MIX_FACTORS = (0x7FEB352D, 0x846CA68B - 2**32)

ATTEMPTS = 10
# Every use of random numbers has its own draws; two with the same draw would get the same numbers.
# Saved trainings resume with these: numbers in use never change, new ones are added.
DRAWS = {
    "order": range(-1, 0),
    "shift_top": range(1),
    "shift_left": range(1, 2),
    "flip": range(2, 3),
    "cutout_row": range(3, 4),
    "cutout_column": range(4, 5),
    "stream_buffer": range(32, 34),
    # Area and aspect ratio of each attempt, the corner, mirroring.
    "resized_crop": range(64, 64 + 2 * ATTEMPTS + 3),
    "mix_kind": range(256, 257),
    "mix_share": range(257, 258),
    "cutmix_row": range(258, 259),
    "cutmix_column": range(259, 260),
    "rand_augment": range(512, 514),
    "light": range(640, 642),
    # Two for each step given by the user.
    "functions": range(1024, 1088),
    "time_shift": range(1088, 1089),
    # The key of a recording, and the number drawn from it for each sample.
    "noise": range(1089, 1091),
    "noise_strength": range(1091, 1092),
    # Width and position of two time bands and of two frequency bands.
    "spec_augment": range(1092, 1100),
    "clip_start": range(1100, 1101),
}


def namespace(array: Tensor) -> ModuleType:
    """Returns the NumPy-like module for `array`, so that each function is written once."""
    if isinstance(array, np.ndarray):
        return np
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and tensorflow.is_tensor(array):
        return tensorflow.experimental.numpy
    return keras.ops


def _mix(bits: Tensor) -> Tensor:
    """The bijection `lowbias32` of the 32-bit integers (Wellons, 2018), on int32.

    NumPy, TensorFlow, JAX and PyTorch share no logical shift of int32: floor division by a power of
    two is the arithmetic shift, and the mask clears the copies of the sign.
    """
    for factor, shift in zip(_MIX_FACTORS, (16, 15), strict=True):
        bits = (bits ^ (bits // 2**shift & 2 ** (32 - shift) - 1)) * factor
    return bits ^ (bits // 2**16 & 2**16 - 1)


def _signed(value: int | Tensor) -> int | Tensor:
    """Returns Python integers wrapped to int32, and scalar tensors unchanged."""
    if isinstance(value, numbers.Integral):
        return (int(value) + 2**31) % 2**32 - 2**31
    return value


def _random_bits(
    seed: int | Tensor, epoch: int | Tensor, index: Tensor, draw: int | Tensor
) -> Tensor:
    """Returns one int32 for each `index`, injective in the index."""
    xp = namespace(index)
    index = xp.array(index, dtype="int32")
    key = _mix(xp.zeros_like(index) + _signed(seed))
    key = _mix(_mix(key ^ _signed(epoch)) + draw)
    return _mix(_mix(index + key) ^ key)


def random_integers(
    high: int, seed: int | Tensor, epoch: int | Tensor, index: Tensor, draw: int | Tensor = 0
) -> Tensor:
    """Returns integers in `[0, high)` for each `index`, uniform up to `high / 2**31`.

    A pure function of its arguments, with the same result on every backend.

    Args:
        high: Positive integer, the exclusive upper end.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(n,)` integers, the numbers of the examples in their dataset.
        draw: Integer or int32 tensor that broadcasts with `index`: selects one of several
            independent numbers of the example.

    Returns:
        `(n,)` int32.

    Example:

    >>> random_integers(10, seed=0, epoch=0, index=np.arange(3)).shape
    (3,)
    """
    return (_random_bits(seed, epoch, index, draw) & 2**31 - 1) % high


def shuffled(index: Tensor, seed: int | Tensor, epoch: int | Tensor) -> Tensor:
    """Returns `index`, whose elements must be distinct, in the order of `epoch`.

    Args:
        index: `(n,)` integers, e.g. `arange(n)`.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.

    Returns:
        `(n,)`, a permutation of `index`.
    """
    xp = namespace(index)
    bits = _random_bits(seed, epoch, index, DRAWS["order"][0])
    return xp.take(index, xp.argsort(bits), axis=0)


def repeated(order: Tensor, repeats: int) -> Tensor:
    """Returns the first elements of a permutation of `range(n)`, each repeated, n in total.

    Args:
        order: `(n,)` integers.
        repeats: Positive integer.

    Returns:
        `(n,)`. Repetition `k` of `i` is `i + k n`, so that each draws its own random numbers.
    """
    xp, count = namespace(order), int(order.shape[0])
    place = xp.arange(count, dtype="int32")
    return xp.take(order, place // repeats, axis=0) + place % repeats * count
