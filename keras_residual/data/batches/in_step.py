"""Batches assembled inside the compiled training step from images in device memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_residual import _checks
from keras_residual.data import keyed
from keras_residual.data.batches.augmentation import Augmentation, augmentation_of
from keras_residual.data.batches.preparation import Preparation, make_preparation
from keras_residual.data.splits import ArraySplit

Tensor = Any

# Images of more bytes than this stay in host memory instead.
LARGEST_BYTES = 2**31


@dataclass(frozen=True, eq=False)
class BatchesInStep:
    """Batches that `training.fit` assembles inside its compiled step.

    Attributes:
        arrays: Images and labels, which are copied to device memory once.
        batch_size: Number of images in a batch.
        preparation: Scaling and augmentation of a batch.
        drop_remainder: Whether an incomplete last batch is dropped.
    """

    arrays: tuple[np.ndarray, np.ndarray]
    batch_size: int
    preparation: Preparation
    drop_remainder: bool

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        whole, rest = divmod(len(self.arrays[0]), self.batch_size)
        return whole + (rest > 0 and not self.drop_remainder)

    def unaugmented(self) -> "BatchesInStep":
        """Returns batches of the same images without augmentation."""
        augmentation = self.preparation.augmentation.without_changes()
        return replace(self, preparation=replace(self.preparation, augmentation=augmentation))

    def order(self, epoch: int) -> list[np.ndarray]:
        """Returns the indices of the images in an epoch's batches, int32.

        A repetition of an image has its own index, see `augment.repeated`.

        Returns:
            `(batches, batch_size)` and, if there is a smaller last batch, `(1, its size)`.
        """
        index = np.arange(len(self.arrays[0]), dtype=np.int32)
        if self.preparation.training:
            index = keyed.shuffled(index, self.preparation.seed, epoch)
            index = keyed.repeated(index, self.preparation.repeats)
        whole = len(index) // self.batch_size * self.batch_size
        parts = [index[:whole].reshape(-1, self.batch_size)]
        if not self.drop_remainder:
            parts.append(index[None, whole:])
        return [part for part in parts if part.size]

    def make(self, arrays: tuple[Tensor, Tensor], index: Tensor, epoch: Tensor) -> tuple[Any, ...]:
        """Returns `(images, labels)` of a batch; called inside the compiled step.

        Args:
            arrays: `self.arrays` as tensors.
            index: `(batch,)` int32, a row of `order(epoch)`.
            epoch: int32 scalar tensor.
        """
        stored = index % len(self.arrays[0])
        images, labels = (keras.ops.take(array, stored, axis=0) for array in arrays)
        return self.preparation(images, labels, index, epoch)


def in_step(
    split: ArraySplit,
    batch_size: int = 128,
    training: bool = False,
    *,
    augmentation: str | Augmentation = "auto",
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    seed: int = 0,
    drop_remainder: bool | None = None,
    **changes: Any,
) -> BatchesInStep:
    """Returns batches for `training.fit` that are assembled on the device, inside the step.

    The images are kept in device memory as they are stored, usually one byte per value; gathering,
    scaling and augmenting a batch is part of the compiled step, and one call runs many steps. So
    the input pipeline costs almost nothing. Images, labels and their order are those of `pipeline`
    with the same arguments.

    Args:
        split: A split in memory whose images have one size, such as `load("cifar10").train`.
        batch_size: Positive integer.
        training: Whether to shuffle and augment.
        augmentation: The kind of augmentation, or an `Augmentation`; not `"imagenet"` or `"photo"`.
        mean: Number, or one per channel, in units of [0, 1].
        std: Number, or one per channel, in units of [0, 1].
        seed: Integer.
        drop_remainder: Whether an incomplete last batch is dropped. Defaults to `training`: other
            images are dropped in each epoch, and every step has the same shape.
        **changes: Other fields of `Augmentation`: `mixup`, `cutmix`, `classes`, `rand_augment`,
            `repeats`.

    Returns:
        `BatchesInStep`, for `training.fit`.

    Raises:
        ValueError: If an argument is none of the accepted.

    Example:

    >>> batches = in_step(load("digits").train, training=True)
    >>> len(batches), batches.order(epoch=0)[0].shape
    (11, (11, 128))
    """
    if not isinstance(split, ArraySplit):
        raise ValueError(f"`split` must be in memory, an ArraySplit. Received: split={split!r}")
    augmentation = augmentation_of(augmentation, changes)
    preparation = make_preparation(split, training, augmentation, mean, std, seed)
    if preparation.steps:
        raise ValueError(
            "`augmentation` must be a name: layers and functions run in `pipeline`. "
            f"Received: augmentation={preparation.steps}"
        )
    if not preparation.augmentation.keeps_size:
        raise ValueError(
            "`augmentation` must be one that keeps the size of images: none, shift, cifar or "
            f"cifar_cutout. Received: augmentation={preparation.augmentation.kind!r}"
        )
    drop = training if drop_remainder is None else _checks.boolean("drop_remainder", drop_remainder)
    batch_size = min(_checks.integer("batch_size", batch_size), len(split))
    return BatchesInStep((split.x, split.y), batch_size, preparation, drop)


def fits_in_step(split: object, augmentation: Augmentation, image_size: object) -> bool:
    """Returns whether `in_step` supports the split: in memory, small enough, and not resized."""
    if not isinstance(split, ArraySplit) or split.x.nbytes > LARGEST_BYTES:
        return False
    if augmentation.steps:
        return False
    kind = split.augmentation if augmentation.kind == "auto" else augmentation.kind
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    kept = size is None or tuple(size) == split.image_shape[:2]
    return kept and Augmentation(kind=kind).keeps_size
