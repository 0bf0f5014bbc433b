"""Splits of datasets: examples with labels, in memory or elsewhere."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_residual.data import keyed
from keras_residual.data.dividing import divided
from keras_residual.data.errors import DatasetError
from keras_residual.data.labels import check_labels

if TYPE_CHECKING:
    import tensorflow as tf

# Greyscale digits, letters and clothes; digits and letters must not be mirrored.
_AUGMENTATIONS = {
    "digits": "shift",
    "mnist": "shift",
    "emnist": "shift",
    "kmnist": "shift",
    "svhn_cropped": "shift",
    "fashion_mnist": "cifar",
}
_SMALL = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class Split(abc.ABC):
    """One part of a dataset, independent of its storage.

    Attributes:
        image_shape: Shape of an example, `(height, width, channels)` of an image; height and width
            are `None` where images differ.
        y: The labels, see `label_kind`.
        scale: The pixel value that becomes 1.0 in a pipeline.
        augmentation: The augmentation that `"auto"` selects for these images.
        label_kind: `"classes"` with `(n,)` int32 labels, `"multi_label"` with `(n, labels)` 0 and
            1, or `"regression"` with `(n, numbers)`, both float32; `"text"` with `(n, longest)`
            int32 numbers of characters and -1 after the end.
        groups: `(n,)` names of groups that must stay together, such as the persons in pictures, or
            `None`.
        lengths: `(n,)` int32, the samples of each recording before its padding, or the frames of
            each clip; `None` for others.
        rate: Samples per second of recordings, or `None`.
        stride: Distance between the frames that are taken of a clip.
    """

    image_shape: tuple[int | None, ...]
    y: np.ndarray | None = None
    scale: float = 255.0
    augmentation: str = "cifar"
    label_kind: str = "classes"
    groups: np.ndarray | None = None
    lengths: np.ndarray | None = None
    rate: int | None = None
    stride: int = 1

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def examples(
        self, seed: int, epoch: "tf.Tensor", shuffle: bool, count: int | None = None
    ) -> "tf.data.Dataset[Any]":
        """Returns one epoch of `(image, label, index)`, in the epoch's order if `shuffle`.

        With `count`, only that many examples, the first of `order`.
        """

    @abc.abstractmethod
    def part(self, index: np.ndarray) -> "Split":
        """Returns the split with only the examples at `index`."""

    def hold_out(
        self,
        fraction: float = 0.1,
        seed: int = 0,
        groups: Sequence[Any] | None = None,
        held_out: Sequence[Any] | None = None,
    ) -> "tuple[Split, Split]":
        """Returns two splits, the second with `fraction` of the examples, e.g. for validation.

        Examples are stratified by class; those of one group stay together.

        Args:
            fraction: Number in (0, 1).
            seed: Non-negative integer.
            groups: One value for each example, such as the person in a picture. Defaults to those
                of the split, if it has any.
            held_out: Names of the groups to hold out, in place of a fraction.

        Raises:
            ValueError: If an argument is not accepted or a part would be empty. A stream, of which
                the end is held out whatever the seed, does not accept groups.
        """
        return self._held_out(fraction, seed, groups, held_out)

    def _held_out(self, fraction, seed, groups, held_out):
        groups = self.groups if groups is None else groups
        parts = divided(self.y, self.label_kind, fraction, seed, groups, held_out)
        whole = self if groups is None else replace(self, groups=np.asarray(groups))
        return tuple(whole.part(part) for part in parts)

    def _labels_of(self, index: np.ndarray) -> dict[str, Any]:
        """Returns the fields of a part that belong to its labels."""
        values = {"y": self.y, "groups": self.groups, "lengths": self.lengths}
        return {name: None if of is None else of[index] for name, of in values.items()}

    def order(self, seed: int, epoch: "tf.Tensor", shuffle: bool) -> "tf.Tensor":
        """Returns the indices of the examples in the order of `epoch`, or as stored."""
        import tensorflow as tf

        index = tf.range(len(self))
        return keyed.shuffled(index, seed, epoch) if shuffle else index


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ArraySplit(Split):
    """Examples in memory.

    Attributes:
        x: `(n, *image_shape)`, uint8, uint16 or float32; of clips all frames that are stored.
    """

    x: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"ArraySplit(x={self.x.shape} {self.x.dtype}, y={self.y.shape})"

    def examples(
        self, seed: int, epoch: "tf.Tensor", shuffle: bool, count: int | None = None
    ) -> "tf.data.Dataset[Any]":
        import tensorflow as tf

        order = tf.data.Dataset.from_tensor_slices(self.order(seed, epoch, shuffle)[:count])
        x, y = self.tensors()
        return order.map(lambda index: (tf.gather(x, index), tf.gather(y, index), index))

    def tensors(self) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns `x` and `y` as tensors in host memory, where `tf.data` runs."""
        import tensorflow as tf

        # Lifted out of the graph of an epoch, which would otherwise hold the images as constants.
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.convert_to_tensor(self.x), tf.convert_to_tensor(self.y)

    def part(self, index: np.ndarray) -> "ArraySplit":
        return replace(self, x=self.x[index], **self._labels_of(index))


def default_augmentation(name: str, image_shape: tuple[int | None, int | None, int]) -> str:
    """Returns the augmentation that `"auto"` selects, by name if known, else by shape.

    Images up to 64 x 64 get `"cifar"`, or with one channel `"shift"`, because most of these are
    scans of characters, which must not be mirrored; larger ones and those of different sizes get
    `"imagenet"`.
    """
    name = name.split("/")[0].split(":")[0]
    if name in _AUGMENTATIONS and len(image_shape) == 3:
        return _AUGMENTATIONS[name]
    if len(image_shape) != 3:
        return "none"
    height, width, channels = image_shape
    if height is None or width is None or max(height, width) > _SMALL:
        return "imagenet"
    return "shift" if channels == 1 else "cifar"


def check_images(name: str, x: object, where: str) -> tuple[np.ndarray, float]:
    """Returns `x` as `(n, height, width, channels)` and the pixel value of white."""
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


def images_with_labels(x: object, y: object) -> ArraySplit:
    """Returns a split of images and labels in memory, after the checks of `from_arrays`."""
    x, scale = check_images("x", x, "arrays")
    y, kind = check_labels("y", y, len(x), "arrays")
    shape = x.shape[1:]
    augmentation = default_augmentation("arrays", shape)
    return ArraySplit(
        x=x, y=y, image_shape=shape, scale=scale, augmentation=augmentation, label_kind=kind
    )
