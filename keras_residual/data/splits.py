"""What a split of a dataset is: examples with labels, in memory or elsewhere."""

import abc
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from keras_residual import _checks
from keras_residual.data import keyed

if TYPE_CHECKING:
    import tensorflow as tf

# Numbers, letters and clothes on grey ground; a mirrored digit is another sign.
_AUGMENTATIONS = {
    "digits": "shift",
    "mnist": "shift",
    "emnist": "shift",
    "kmnist": "shift",
    "svhn_cropped": "shift",
    "fashion_mnist": "cifar",
}
_SMALL = 64


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
    order = keyed.shuffled(np.arange(len(labels)), seed, epoch=0)
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
        return keyed.shuffled(index, seed, epoch) if shuffle else index


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


def default_augmentation(name: str, image_shape: tuple[int | None, int | None, int]) -> str:
    """What `augmentation="auto"` means: by name where it is known, else by shape.

    Images up to 64 x 64 get `"cifar"`, or `"shift"` with one channel, which are mostly scans of
    signs that must not be mirrored; larger ones and those of differing size get `"imagenet"`.
    """
    name = name.split("/")[0].split(":")[0]
    if name in _AUGMENTATIONS:
        return _AUGMENTATIONS[name]
    height, width, channels = image_shape
    if height is None or width is None or max(height, width) > _SMALL:
        return "imagenet"
    return "shift" if channels == 1 else "cifar"


def check_images(name: str, x: object, where: str) -> tuple[np.ndarray, float]:
    """`x` as `(n, height, width, channels)` and the pixel value that is white."""
    x = np.asarray(x)
    received = f"Received: shape {x.shape}, dtype {x.dtype}"
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or 0 in x.shape:
        raise DatasetError(
            f"{where}: `{name}` must hold images, (n, height, width) or (n, height, width, "
            f"channels), none of them 0. {received}"
        )
    if x.shape[1] in (1, 3) and x.shape[2] == x.shape[3] > 4:
        raise DatasetError(
            f"{where}: `{name}` must be (n, height, width, channels); this looks like channels "
            f"first. {received}"
        )
    if np.issubdtype(x.dtype, np.floating):
        x = x.astype(np.float32, copy=False)
        if not np.isfinite(x).all():
            raise DatasetError(f"{where}: `{name}` must be finite; it holds NaN or infinity.")
        return x, 1.0
    if x.dtype in (np.uint8, np.uint16):
        return x, float(np.iinfo(x.dtype).max)
    if np.issubdtype(x.dtype, np.integer) and x.min() >= 0 and x.max() <= 255:
        return x.astype(np.uint8), 255.0
    raise DatasetError(
        f"{where}: `{name}` must be uint8, uint16, integers in 0..255, or floating. {received}"
    )


def check_labels(name: str, y: object, images: int, where: str) -> np.ndarray:
    """`y` as `(images,)` non-negative int32."""
    y = np.asarray(y)
    received = f"Received: shape {y.shape}, dtype {y.dtype}"
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise DatasetError(
            f"{where}: `{name}` must be integer labels of shape (n,) (of one-hot rows take the "
            f"argmax). {received}"
        )
    if len(y) != images:
        raise DatasetError(
            f"{where}: `{name}` must hold one label an image. Received: {len(y)} labels for "
            f"{images} images"
        )
    if y.min() < 0 or y.max() >= 2**31:
        raise DatasetError(
            f"{where}: `{name}` must hold labels in 0..classes - 1. "
            f"Received: labels {y.min()}..{y.max()}"
        )
    return y.astype(np.int32)


def images_with_labels(x: object, y: object) -> ArraySplit:
    """One split of images and labels in memory, after the checks of `from_arrays`."""
    x, scale = check_images("x", x, "arrays")
    y = check_labels("y", y, len(x), "arrays")
    shape = x.shape[1:]
    augmentation = default_augmentation("arrays", shape)
    return ArraySplit(x=x, y=y, image_shape=shape, scale=scale, augmentation=augmentation)
