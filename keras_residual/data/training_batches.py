"""The batches of a whole training, by the fastest way that the dataset allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_residual.data.batches.in_step import fits_in_step, in_step
from keras_residual.data.batches.pipeline import pipeline
from keras_residual.data.dataset import Dataset, Split

if TYPE_CHECKING:
    import tensorflow as tf

# Images in a batch where no gradients have to be kept.
_EVALUATED = 500


@dataclass(frozen=True, eq=False)
class EpochBatches:
    """Training batches from any epoch on, as `training.fit` takes them.

    Attributes:
        split: The split to train on.
        batch_size: Number of images in a batch.
        options: More arguments of `pipeline`.
    """

    split: Split
    batch_size: int
    options: dict[str, Any]

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __call__(self, epoch: int) -> "tf.data.Dataset":
        return pipeline(
            self.split,
            batch_size=self.batch_size,
            training=True,
            epoch=epoch,
            repeat=True,
            **self.options,
        )


def training_batches(
    dataset: Dataset,
    batch_size: int = 128,
    *,
    augmentation: str = "auto",
    image_size: int | Sequence[int] | None = None,
    seed: int = 0,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    rand_augment: float = 0.0,
    repeats: int = 1,
    test_image_size: int | Sequence[int] | None = None,
    test_crop: float = 224 / 256,
) -> tuple:
    """Returns `(train, held_out)` for `training.fit`.

    Images in memory that need no resizing are batched inside the compiled step (`in_step`), others
    in a `tf.data` pipeline.

    Args:
        dataset: The dataset.
        batch_size: Positive integer.
        augmentation: What to do to the training images, see `pipeline`.
        image_size: Integer or `(height, width)` to bring images to. Defaults to their own.
        seed: Integer, decides order and augmentation.
        mixup: The α of mixup; `0` for none.
        cutmix: The α of CutMix; `0` for none.
        rand_augment: The magnitude of RandAugment; `0` for none.
        repeats: How often an epoch has each of its images, see `pipeline`.
        test_image_size: As `image_size`, of the held-out images. Defaults to `image_size`.
        test_crop: Share of the shorter side that evaluation keeps, see `pipeline`.
    """
    changes = {"mixup": mixup, "cutmix": cutmix, "classes": dataset.num_classes}
    changes |= {"rand_augment": rand_augment, "repeats": repeats}
    options = {"augmentation": augmentation, "seed": seed}
    if fits_in_step(dataset.train, augmentation, image_size):
        train = in_step(dataset.train, batch_size, training=True, **options, **changes)
    else:
        train = EpochBatches(
            dataset.train, batch_size, {**options, **changes, "image_size": image_size}
        )
    size = image_size if test_image_size is None else test_image_size
    if fits_in_step(dataset.test, augmentation, size):
        return train, in_step(dataset.test, max(batch_size, _EVALUATED), **options)
    return train, pipeline(
        dataset.test, batch_size=batch_size, image_size=size, test_crop=test_crop, **options
    )
