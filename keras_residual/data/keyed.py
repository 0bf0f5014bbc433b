"""Random numbers as a hash of `(seed, epoch, index, draw)`, and the table of all draws.

An example is treated alike whatever the batch size, the order, the backend or the process, and a
resumed training sees what the uninterrupted one saw. The functions take NumPy arrays, TensorFlow
tensors (also inside the `map` of a `tf.data` pipeline, under any backend) and the tensors of the
active Keras backend (also inside a compiled step), and answer in kind.
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
# Every use of random numbers has draws of its own, or two of them would draw the same numbers.
# Saved trainings continue with these: numbers in use never change, new ones are added.
DRAWS = {
    "order": range(-1, 0),
    "shift_top": range(1),
    "shift_left": range(1, 2),
    "flip": range(2, 3),
    "cutout_row": range(3, 4),
    "cutout_column": range(4, 5),
    "stream_buffer": range(32, 34),
    # Area and aspect ratio of each attempt, the corner, the mirror image.
    "resized_crop": range(64, 64 + 2 * ATTEMPTS + 3),
    "mix_kind": range(256, 257),
    "mix_share": range(257, 258),
    "cutmix_row": range(258, 259),
    "cutmix_column": range(259, 260),
    "rand_augment": range(512, 514),
    "light": range(640, 642),
    # Two for each of the steps that users give.
    "functions": range(1024, 1088),
    "time_shift": range(1088, 1089),
    # The key of a recording, and what is drawn from it for each sample.
    "noise": range(1089, 1091),
    "noise_strength": range(1091, 1092),
    # Width and place of two stretches of time and of two bands of frequencies.
    "spec_augment": range(1092, 1100),
    "clip_start": range(1100, 1101),
}


def namespace(array: Tensor) -> ModuleType:
    """The NumPy-like module that understands `array`, so that each function is written once."""
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
    """Python integers folded into int32; scalar tensors as they are."""
    if isinstance(value, numbers.Integral):
        return (int(value) + 2**31) % 2**32 - 2**31
    return value


def _random_bits(
    seed: int | Tensor, epoch: int | Tensor, index: Tensor, draw: int | Tensor
) -> Tensor:
    """One int32 for each `index`; for fixed other arguments different indices differ."""
    xp = namespace(index)
    index = xp.array(index, dtype="int32")
    key = _mix(xp.zeros_like(index) + _signed(seed))
    key = _mix(_mix(key ^ _signed(epoch)) + draw)
    return _mix(_mix(index + key) ^ key)


def random_integers(
    high: int, seed: int | Tensor, epoch: int | Tensor, index: Tensor, draw: int | Tensor = 0
) -> Tensor:
    """Integers in `[0, high)`, one for each element of `index`, uniform to within `high / 2**31`.

    A pure function of its arguments, with the same result on every backend.

    Args:
        high: Positive integer, the exclusive upper end.
        seed: Integer or int32 scalar tensor.
        epoch: Integer or int32 scalar tensor.
        index: `(n,)` integers, the numbers of the examples in their dataset.
        draw: Integer or int32 tensor that broadcasts with `index`, which of several independent
            numbers of the example.

    Returns:
        `(n,)` int32.

    Example:

    >>> random_integers(10, seed=0, epoch=0, index=np.arange(3)).shape
    (3,)
    """
    return (_random_bits(seed, epoch, index, draw) & 2**31 - 1) % high


def shuffled(index: Tensor, seed: int | Tensor, epoch: int | Tensor) -> Tensor:
    """`index`, whose elements must differ, in the order of `epoch`.

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
    """The first of `order`, a permutation of `range(n)`, each `repeats` times in a row: n in all.

    Args:
        order: `(n,)` integers.
        repeats: Positive integer.

    Returns:
        `(n,)`. Repetition `k` of `i` is `i + k n`, so that each draws random numbers of its own.
    """
    xp, count = namespace(order), int(order.shape[0])
    place = xp.arange(count, dtype="int32")
    return xp.take(order, place // repeats, axis=0) + place % repeats * count
