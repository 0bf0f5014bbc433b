"""What is done to a whole batch at once, in a `tf.data` pipeline or inside the training step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual.data.batches import augment
from keras_residual.data.batches.mixing import mix
from keras_residual.data.batches.pixels import WHITE
from keras_residual.data.batches.randaugment import STRONGEST, rand_augment
from keras_residual.data.dataset import ArraySplit, Split

Tensor = Any

AUGMENTATIONS = ("auto", "none", "shift", "cifar", "cifar_cutout", "imagenet")
_BATCHED = {"shift": augment.shift, "cifar": augment.cifar, "cifar_cutout": augment.cifar_cutout}
_GREY = 0.5


@dataclass(frozen=True, eq=False)
class Preparation:
    """Scales, standardizes, augments and mixes a batch.

    Attributes:
        scale: The pixel value that becomes 1.0.
        mean: Subtracted, a number or one a channel.
        std: Divided by, a number or one a channel.
        training: Whether to augment and mix.
        augmentation: One of `AUGMENTATIONS` but `"auto"`.
        seed: Integer.
        mixup: The α of mixup; `0` for none.
        cutmix: The α of CutMix; `0` for none.
        classes: Number of classes, for the labels of mixed images.
        rand_augment: The magnitude of RandAugment, which comes first; `0` for none.
        repeats: How often an epoch has each of its images, one after the other.
    """

    scale: float
    mean: np.ndarray
    std: np.ndarray
    training: bool
    augmentation: str
    seed: int
    mixup: float = 0.0
    cutmix: float = 0.0
    classes: int | None = None
    rand_augment: float = 0.0
    repeats: int = 1

    def __call__(self, images: Tensor, labels: Tensor, index: Tensor, epoch: Tensor) -> tuple:
        """Returns `(images, labels)`; the labels are shares of classes if images are mixed."""
        if self.training and self.rand_augment:
            images = self.rand_augmented(images, index, epoch)
            return self.of_rand_augmented()(images, labels, index, epoch)
        xp = augment.namespace(images)
        scale, mean, std = (
            xp.array(value, dtype="float32") for value in (self.scale, self.mean, self.std)
        )
        images = (xp.array(images, dtype="float32") / scale - mean) / std
        if not self.training:
            return images, labels
        if self.augmentation in _BATCHED:
            images = _BATCHED[self.augmentation](images, self.seed, epoch, index)
        if not self.mixed:
            return images, labels
        classes = xp.arange(self.classes, dtype="int32")[None]
        shares = xp.array(labels[:, None] == classes, dtype="float32")
        return mix(images, shares, self.seed, epoch, index, self.mixup, self.cutmix, self.repeats)

    def rand_augmented(self, images: Tensor, index: Tensor, epoch: Tensor) -> Tensor:
        """Returns the images after RandAugment, as levels in 0..255."""
        levels = augment.namespace(images).array(images, dtype="float32") * (WHITE / self.scale)
        # What is 0 once it is standardized, as the padding of a crop.
        fill = self.mean if self.mean.any() else _GREY
        fill = np.rint(np.clip(fill, 0, 1) * WHITE)
        return rand_augment(levels, self.seed, epoch, index, self.rand_augment, fill)

    def of_rand_augmented(self) -> "Preparation":
        """Returns what is left to do after `rand_augmented`."""
        return replace(self, scale=float(WHITE), rand_augment=0.0)

    @property
    def mixed(self) -> bool:
        """Whether images are mixed with others."""
        return bool(self.training and (self.mixup or self.cutmix))


def make_preparation(
    split: Split,
    training: bool,
    augmentation: str,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    seed: int,
    mixup: float,
    cutmix: float,
    classes: int | None,
    rand_augment: float,
    repeats: int,
) -> Preparation:
    """Returns the preparation of a split's batches, once the arguments are checked."""
    channels = split.image_shape[2]
    _checks.choice("augmentation", augmentation, AUGMENTATIONS)
    made = Preparation(
        scale=split.scale,
        mean=_per_channel("mean", mean, 0.0, channels),
        std=_per_channel("std", std, 1.0, channels),
        training=_checks.boolean("training", training),
        augmentation=split.augmentation if augmentation == "auto" else augmentation,
        seed=_checks.integer("seed", seed, 0),
        mixup=_checks.real("mixup", mixup, 0, 1e6),
        cutmix=_checks.real("cutmix", cutmix, 0, 1e6),
        classes=None if classes is None else _checks.integer("classes", classes),
        rand_augment=_checks.real("rand_augment", rand_augment, 0, STRONGEST),
        repeats=_checks.integer("repeats", repeats, maximum=(2**31 - 1) // len(split)),
    )
    if made.mixed and classes is None:
        raise ValueError(
            "`classes` must be given for `mixup` and `cutmix`, which mix labels. "
            f"Received: classes=None, mixup={mixup!r}, cutmix={cutmix!r}"
        )
    if made.training and made.rand_augment:
        _check_for_rand_augment(split)
    return made


def _check_for_rand_augment(split: Split) -> None:
    channels = split.image_shape[2]
    if channels not in (1, 3):
        raise ValueError(f"`rand_augment` takes images of 1 or 3 channels. Received: {channels}")
    if isinstance(split, ArraySplit) and (split.x.min() < 0 or split.x.max() > split.scale):
        raise ValueError(
            f"`rand_augment` takes pixels in [0, {split.scale:g}], where {split.scale:g} is white. "
            f"Received: pixels in [{split.x.min():g}, {split.x.max():g}]"
        )


def _per_channel(name: str, value: object, default: float, channels: int) -> np.ndarray:
    numbers = np.asarray(default if value is None else value, np.float32)
    positive = name != "std" or (numbers > 0).all()
    if numbers.shape not in ((), (channels,)) or not np.isfinite(numbers).all() or not positive:
        raise ValueError(
            f"`{name}` must be a {'positive ' if name == 'std' else ''}number or one for each of "
            f"{channels} channels. Received: {name}={value!r}"
        )
    return numbers
