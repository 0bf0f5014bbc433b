"""A dataset: two splits of examples with labels, and the batches made of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from keras_residual._words import counted
from keras_residual.data.batches.augmentation import Augmentation, augmentation_of
from keras_residual.data.batches.in_step import fits_in_step, in_step
from keras_residual.data.batches.pipeline import pipeline
from keras_residual.data.splits import Split

if TYPE_CHECKING:
    import tensorflow as tf

# Batch size in evaluation, where no gradients are stored.
_EVALUATED = 500


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples with labels, from any source.

    Attributes:
        name: Where it came from.
        train: The split to train on.
        test: The held-out split.
        class_names: One name for each class, label or number, in their order.
        left_out: Damaged files that were left out.
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def hold_out(
        self,
        fraction: float = 0.1,
        seed: int = 0,
        groups: Sequence[Any] | None = None,
        held_out: Sequence[Any] | None = None,
    ) -> "Dataset":
        """Returns a dataset whose `test` is held out from the training examples, for validation.

        Examples of one group stay together, see `Split.hold_out`.
        """
        train, validation = self.train.hold_out(fraction, seed, groups, held_out)
        return replace(self, train=train, test=validation)

    def batches(self, batch_size: int = 128, **options: Any) -> tuple[Any, ...]:
        """Returns training and held-out batches for `training.fit`, see `training_batches`."""
        return training_batches(self, batch_size, **options)

    def __str__(self) -> str:
        size = " x ".join("?" if side is None else str(side) for side in self.image_shape)
        kind = {"classes": ("class", "classes"), "multi_label": ("label",)}
        kind |= {"regression": ("number each", "numbers each"), "text": ("character",)}
        if self.examples == "images" and None in self.image_shape[:2]:
            size = f"various sizes with {counted(self.image_shape[-1], 'channel')}"
        if self.train.rate:
            size = f"{self.image_shape[0] / self.train.rate:.3g} s at {self.train.rate:,} Hz"
        left_out = f", {len(self.left_out):,} damaged left out" if self.left_out else ""
        return (
            f"{self.name}: {len(self.train):,} training and {len(self.test):,} held-out "
            f"{self._noun(len(self.test))} of {size}, "
            f"{counted(self.num_classes, *kind[self.label_kind])}{left_out}"
        )

    def _noun(self, count):
        return self.examples if count != 1 or self.examples == "series" else self.examples[:-1]

    @property
    def examples(self) -> str:
        """What the examples are: `"images"`, `"series"`, `"recordings"` or `"clips"`."""
        if self.train.rate:
            return "recordings"
        return {3: "images", 4: "clips"}.get(len(self.image_shape), "series")

    @property
    def label_kind(self) -> str:
        """What the labels are: `"classes"`, `"multi_label"`, `"regression"` or `"text"`."""
        return self.train.label_kind

    @property
    def num_classes(self) -> int:
        """Number of classes, of labels or of numbers: the units of a network for them.

        Labels of classes lie in `range(num_classes)`.
        """
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int | None, ...]:
        """Shape of an example: `(height, width, channels)` of an image, `(steps, channels)`.

        Height and width are `None` where images differ.
        """
        return self.train.image_shape

    @property
    def typical_side(self) -> int | None:
        """Shorter side of most images in pixels, the median where they differ.

        `None` where it is not known, and for other examples.
        """
        if self.examples != "images":
            return None
        if None in self.image_shape[:2]:
            return getattr(self.train, "typical_side", None)
        return min(self.image_shape[:2])


@dataclass(frozen=True, eq=False)
class EpochBatches:
    """Training batches that can start at any epoch, for `training.fit`.

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

    def __call__(self, epoch: int) -> "tf.data.Dataset[Any]":
        return pipeline(
            self.split,
            batch_size=self.batch_size,
            training=True,
            epoch=epoch,
            repeat=True,
            **self.options,
        )

    def unaugmented(self) -> "EpochBatches":
        """Returns batches of the same images without augmentation."""
        augmentation = self.options["augmentation"].without_changes()
        return replace(self, options={**self.options, "augmentation": augmentation})


def training_batches(
    dataset: "Dataset",
    batch_size: int = 128,
    *,
    augmentation: str | Augmentation = "auto",
    image_size: int | Sequence[int] | None = None,
    seed: int = 0,
    test_image_size: int | Sequence[int] | None = None,
    test_crop: float = 224 / 256,
    **changes: Any,
) -> tuple[Any, ...]:
    """Returns `(train, held_out)` for `training.fit`.

    Images in memory that need no resizing are batched inside the compiled step (`in_step`), others
    in a `tf.data` pipeline.

    Args:
        dataset: The dataset.
        batch_size: Positive integer.
        augmentation: Augmentation of the training images: a kind or an `Augmentation`.
        image_size: Integer or `(height, width)` to resize images to. Defaults to their own size.
        seed: Integer, determines order and augmentation.
        test_image_size: As `image_size`, for the held-out images. Defaults to `image_size`.
        test_crop: Fraction of the shorter side that evaluation keeps, see `pipeline`.
        **changes: Other fields of `Augmentation`: `mixup`, `cutmix`, `rand_augment`, `repeats`.
    """
    augmentation = augmentation_of(augmentation, {"classes": dataset.num_classes, **changes})
    options = {"augmentation": augmentation, "seed": seed}
    if fits_in_step(dataset.train, augmentation, image_size):
        train = in_step(dataset.train, batch_size, training=True, **options)
    else:
        train = EpochBatches(dataset.train, batch_size, {**options, "image_size": image_size})
    size = image_size if test_image_size is None else test_image_size
    if fits_in_step(dataset.test, augmentation, size):
        return train, in_step(dataset.test, max(batch_size, _EVALUATED), **options)
    return train, pipeline(
        dataset.test, batch_size=batch_size, image_size=size, test_crop=test_crop, **options
    )
