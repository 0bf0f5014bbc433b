"""The preparation of whole batches, in a `tf.data` pipeline or inside the training step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual.data.batches import augment
from keras_residual.data.batches.augmentation import Augmentation
from keras_residual.data.batches.clips import Frames, as_clips, as_images
from keras_residual.data.batches.functions import Steps
from keras_residual.data.batches.mixing import mix
from keras_residual.data.batches.pixels import WHITE
from keras_residual.data.batches.randaugment import rand_augment
from keras_residual.data.keyed import namespace
from keras_residual.data.splits import Split

Tensor = Any

_BATCHED = {
    "shift": augment.shift,
    "cifar": augment.cifar,
    "cifar_cutout": augment.cifar_cutout,
    "photo": augment.light,
    "audio": augment.audio,
    "noise": augment.add_noise,
    "spec_augment": augment.spec_augment,
}
_GREY = 0.5


@dataclass(frozen=True, eq=False)
class Preparation:
    """Scales, standardizes, augments and mixes a batch.

    Attributes:
        scale: The pixel value that becomes 1.0.
        mean: Number that is subtracted, or one per channel.
        std: Number to divide by, or one per channel.
        training: Whether to augment and mix.
        augmentation: How to augment and mix, `"auto"` resolved.
        seed: Integer.
        label_kind: What the labels are, see `Split`.
        frames: Which frames of clips are taken.
    """

    scale: float
    mean: np.ndarray
    std: np.ndarray
    training: bool
    augmentation: Augmentation
    seed: int
    label_kind: str = "classes"
    frames: Frames | None = None

    def __call__(
        self, images: Tensor, labels: Tensor, index: Tensor, epoch: Tensor
    ) -> tuple[Any, ...]:
        """Returns `(images, labels)`; labels are proportions of classes if images are mixed."""
        if self.rand_augments:
            images = self.rand_augmented(images, index, epoch)
            return self.of_rand_augmented()(images, labels, index, epoch)
        if self.frames:
            images = self.frames(images, self.seed, epoch, index, self.training)
        xp = namespace(images)
        scale, mean, std = (
            xp.array(value, dtype="float32") for value in (self.scale, self.mean, self.std)
        )
        images = (xp.array(images, dtype="float32") / scale - mean) / std
        if not self.training:
            return images, labels
        if self.frames:
            images = as_images(images)
            images, labels = self._augmented(images, labels, index, epoch)
            return as_clips(images, self.frames.count), labels
        return self._augmented(images, labels, index, epoch)

    def _augmented(self, images, labels, index, epoch) -> tuple[Any, ...]:
        xp, how = namespace(images), self.augmentation
        if how.kind in _BATCHED:
            images = _BATCHED[how.kind](images, self.seed, epoch, index)
        if not how.mixes:
            return images, labels
        shares = labels
        if self.label_kind == "classes":
            classes = xp.arange(how.classes, dtype="int32")[None]
            shares = xp.array(labels[:, None] == classes, dtype="float32")
        return mix(images, shares, self.seed, epoch, index, how.mixup, how.cutmix, how.repeats)

    def rand_augmented(self, images: Tensor, index: Tensor, epoch: Tensor) -> Tensor:
        """Returns the images after RandAugment, as levels in 0..255."""
        levels = namespace(images).array(images, dtype="float32") * (WHITE / self.scale)
        # The level that is 0 after standardization, like the padding of a crop.
        fill = self.mean if self.mean.any() else _GREY
        fill = np.rint(np.clip(fill, 0, 1) * WHITE)
        magnitude = self.augmentation.rand_augment
        return rand_augment(levels, self.seed, epoch, index, magnitude, fill)

    def of_rand_augmented(self) -> "Preparation":
        """Returns the preparation that remains after `rand_augmented`."""
        rest = replace(self.augmentation, rand_augment=0.0)
        return replace(self.of_levels(), augmentation=rest)

    @property
    def steps(self) -> Steps | None:
        """The layers and functions that are applied to single images first, if any."""
        return self.augmentation.steps if self.training else None

    def of_levels(self) -> "Preparation":
        """Returns the same preparation for images whose white is 255."""
        return replace(self, scale=float(WHITE))

    @property
    def rand_augments(self) -> bool:
        """Whether RandAugment comes first."""
        return bool(self.training and self.augmentation.rand_augment)

    @property
    def repeats(self) -> int:
        """How often an epoch repeats each of its images."""
        return self.augmentation.repeats if self.training else 1


def make_preparation(
    split: Split,
    training: bool,
    augmentation: Augmentation,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    seed: int,
) -> Preparation:
    """Checks the arguments and returns the preparation of a split's batches."""
    channels = split.image_shape[-1]
    # For evaluation, only the kind of augmentation matters, as it determines the crop.
    unmixed = replace(augmentation, mixup=0.0, cutmix=0.0, rand_augment=0.0)
    used = augmentation if training else unmixed
    return Preparation(
        scale=split.scale,
        mean=_per_channel("mean", mean, 0.0, channels),
        std=_per_channel("std", std, 1.0, channels),
        training=_checks.boolean("training", training),
        augmentation=used.of_split(split),
        seed=_checks.seed(seed),
        label_kind=split.label_kind,
        frames=_frames(split),
    )


def _frames(split: Split) -> Frames | None:
    if len(split.image_shape) != 4:
        return None
    return Frames(split.image_shape[0], split.stride, split.lengths)


def _per_channel(name: str, value: object, default: float, channels: int) -> np.ndarray:
    numbers = np.asarray(default if value is None else value, np.float32)
    positive = name != "std" or (numbers > 0).all()
    if numbers.shape not in ((), (channels,)) or not np.isfinite(numbers).all() or not positive:
        raise ValueError(
            f"`{name}` must be a {'positive ' if name == 'std' else ''}number or one for each of "
            f"{channels} channels. Received: {name}={value!r}"
        )
    return numbers
