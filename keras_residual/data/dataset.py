"""What a dataset is to the rest of the package: two splits of images with integer labels."""

import abc
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from keras_residual import _checks
from keras_residual.data.batches import augment

if TYPE_CHECKING:
    import tensorflow as tf


class DatasetError(ValueError):
    """A dataset that is missing, damaged or not of the accepted form; one line says which."""


def stratified(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits `range(len(labels))` in two, every class in proportion; the same for ever.

    Args:
        labels: `(n,)` integers.
        fraction: Number in (0, 1), the second part's share, rounded up to a whole example.
        seed: Integer.

    Returns:
        The sorted indices of the first and of the second part. Each class keeps at least one
        example in the first.
    """
    labels = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(labels)
    wanted = np.minimum(counts * fraction, np.maximum(counts - 1, 0))
    quota = np.floor(wanted).astype(int)
    missing = math.ceil(len(labels) * fraction - 1e-9) - quota.sum()
    by_remainder = np.argsort(quota - wanted, kind="stable")
    room = by_remainder[quota[by_remainder] < counts[by_remainder] - 1]
    quota[room[: max(missing, 0)]] += 1
    order = augment.shuffled(np.arange(len(labels)), seed, epoch=0)
    held_out = np.concatenate(
        [order[labels[order] == label][:count] for label, count in enumerate(quota)]
    )
    return np.setdiff1d(order, held_out), np.sort(held_out)


@dataclass(frozen=True, eq=False, kw_only=True)
class Split(abc.ABC):
    """One part of a dataset, of any storage.

    Attributes:
        image_shape: `(height, width, channels)`; height and width are `None` where images differ.
        scale: The pixel value that becomes 1.0 in a pipeline.
        augmentation: What `augmentation="auto"` means for these images.
    """

    image_shape: tuple[int | None, int | None, int]
    scale: float = 255.0
    augmentation: str = "cifar"

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def examples(
        self, seed: int, epoch: "tf.Tensor", shuffle: bool, count: int | None = None
    ) -> "tf.data.Dataset":
        """One epoch of `(image, label, index)`, in the epoch's order when `shuffle` is true.

        With `count`, the first so many of `order`.
        """

    @abc.abstractmethod
    def hold_out(self, fraction: float = 0.1, seed: int = 0) -> "tuple[Split, Split]":
        """Two splits, the second with `fraction` of the examples: e.g. to validate on."""

    def order(self, seed: int, epoch: "tf.Tensor", shuffle: bool) -> "tf.Tensor":
        """The indices of the examples in the order of `epoch`, or as stored."""
        import tensorflow as tf

        index = tf.range(len(self))
        return augment.shuffled(index, seed, epoch) if shuffle else index


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ArraySplit(Split):
    """Images in memory.

    Attributes:
        x: `(n, height, width, channels)`, uint8, uint16 or float32.
        y: `(n,)` int32.
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"ArraySplit(x={self.x.shape} {self.x.dtype}, y={self.y.shape})"

    def examples(
        self, seed: int, epoch: "tf.Tensor", shuffle: bool, count: int | None = None
    ) -> "tf.data.Dataset":
        import tensorflow as tf

        order = tf.data.Dataset.from_tensor_slices(self.order(seed, epoch, shuffle)[:count])
        x, y = self.tensors()
        return order.map(lambda index: (tf.gather(x, index), tf.gather(y, index), index))

    def tensors(self) -> "tuple[tf.Tensor, tf.Tensor]":
        """`x` and `y` as tensors in the host's memory, where `tf.data` runs."""
        import tensorflow as tf

        # Lifted out of the graph of one epoch, which would else hold the images as constants.
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.convert_to_tensor(self.x), tf.convert_to_tensor(self.y)

    def hold_out(self, fraction: float = 0.1, seed: int = 0) -> "tuple[ArraySplit, ArraySplit]":
        return tuple(
            replace(self, x=self.x[part], y=self.y[part])
            for part in parts_to_hold_out(self.y, fraction, seed)
        )


def parts_to_hold_out(labels: np.ndarray, fraction: float, seed: int) -> tuple:
    """`stratified` with its arguments checked and no part empty."""
    _checks.real("fraction", fraction, 0, 1, open_end=True)
    rest, held_out = stratified(labels, fraction, _checks.integer("seed", seed, 0))
    if not len(held_out):
        raise ValueError(
            f"`fraction` must leave an example in each of the two parts of {len(labels)} examples. "
            f"Received: fraction={fraction!r}"
        )
    return rest, held_out


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels, from any source.

    Attributes:
        name: Where it came from.
        train: The split to train on.
        test: The held-out split.
        class_names: One name for each label, in the labels' order.
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]

    def hold_out(self, fraction: float = 0.1, seed: int = 0) -> "Dataset":
        """Returns a dataset whose `test` is held out from the training images: to choose by it."""
        train, validation = self.train.hold_out(fraction, seed)
        return replace(self, train=train, test=validation)

    def batches(self, batch_size: int = 128, **options) -> tuple:
        """Returns training and held-out batches for `training.fit`, see `training_batches`."""
        from keras_residual.data.training_batches import training_batches

        return training_batches(self, batch_size, **options)

    def __str__(self) -> str:
        size = " x ".join("?" if side is None else str(side) for side in self.image_shape)
        return (
            f"{self.name}: {len(self.train):,} training and {len(self.test):,} held-out images of "
            f"{size}, {self.num_classes} classes"
        )

    @property
    def num_classes(self) -> int:
        """Number of classes; labels lie in `range(num_classes)`."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int | None, int | None, int]:
        """`(height, width, channels)`; height and width are `None` where images differ."""
        return self.train.image_shape
