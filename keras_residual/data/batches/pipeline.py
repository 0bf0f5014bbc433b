"""Reproducible input pipelines: batched, shuffled, augmented and prefetched."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_residual import _checks, _needs
from keras_residual._words import counted
from keras_residual.data import keyed
from keras_residual.data.batches import resizing
from keras_residual.data.batches.augmentation import Augmentation, augmentation_of
from keras_residual.data.batches.pixels import WHITE
from keras_residual.data.batches.preparation import Preparation, make_preparation
from keras_residual.data.splits import ArraySplit, Split, images_with_labels

if TYPE_CHECKING:
    import tensorflow as tf

_IMAGENET_SIZE = (224, 224)
_LAST_EPOCH = 2**31 - 1
# Larger than any practical image; beyond it TensorFlow fails with an obscure message.
_LARGEST_SIDE = 2**14


@dataclass(frozen=True)
class _Options:
    """The checked arguments of `pipeline`."""

    batch_size: int
    image_size: tuple[int, int] | None
    test_crop: float
    drop_remainder: bool
    preparation: Preparation


def pipeline(
    x: Split | np.ndarray,
    y: np.ndarray | None = None,
    batch_size: int = 128,
    training: bool = False,
    *,
    augmentation: str | Augmentation = "auto",
    image_size: int | Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    seed: int = 0,
    epoch: int = 0,
    repeat: bool = False,
    drop_remainder: bool = False,
    test_crop: float = 224 / 256,
    **changes: Any,
) -> "tf.data.Dataset[Any]":
    """Returns batches of `(images, labels)` as a `tf.data.Dataset`, for any Keras backend.

    Images are `(batch, height, width, channels)` float32 in [0, 1]: integers are divided by the
    value of white (255, or the split's `scale`), floating point is unchanged. With `mean` and
    `std`, images become `(images - mean) / std`. Both precede augmentation, whose padding is 0,
    except for RandAugment, which works on 256 levels and pads with `mean`, or with grey by default.
    Labels are int32.

    In training, images are shuffled and augmented, keyed by `(seed, epoch, number of the image)`:
    the same arguments give the same batches bit for bit, in any process and on any backend.
    Evaluation keeps the stored order.

    Each iteration over the training pipeline is one epoch: the first is number `epoch`, then
    `epoch + 1` and so on. `repeat=True` joins them into one endless iteration, which does not
    depend on how often the pipeline was iterated before; use it to resume a training exactly where
    it stopped after `k` epochs:

        steps = math.ceil(len(split) / batch_size)
        batches = pipeline(split, batch_size=batch_size, training=True, epoch=k, repeat=True)
        model.fit(batches, steps_per_epoch=steps, initial_epoch=k, epochs=90, shuffle=False)

    (`shuffle=False` because Keras 3.15 would warn that the pipeline must shuffle, which it does.)

    Args:
        x: A split of a dataset (`dataset.train`), or images `(n, height, width, channels)`.
        y: `(n,)` integer labels of images given as an array.
        batch_size: Positive integer.
        training: Whether to shuffle and augment.
        augmentation: The augmentation in training: the kind, `"none"`, `"shift"`, `"cifar"`,
            `"cifar_cutout"`, `"imagenet"`, `"photo"` or `"auto"`, or an `Augmentation`.
            With `"imagenet"` and `"photo"` images are evaluated with the shorter side resized to
            `image_size / test_crop` (256 for 224) and the centre cropped. Or Keras preprocessing
            layers and functions of an image, which take levels of 0 to 255:
            `[keras.layers.RandomFlip(), lambda image, seed: ...]`.
        image_size: Integer or `(height, width)`, to which images of another size are resized with
            their aspect ratio kept, then cropped at the centre. Defaults to their own size, or 224
            if they differ in size.
        mean: Number, or one per channel, in units of [0, 1].
        std: Number, or one per channel, in units of [0, 1].
        seed: Integer.
        epoch: Non-negative integer, number of the first epoch.
        repeat: Whether one iteration runs through all epochs without end. Training only.
        drop_remainder: Whether to drop the last batch if it is smaller than the others.
        test_crop: Fraction of the shorter side that evaluation keeps with `"imagenet"` and
            `"photo"`.
        **changes: Other fields of `Augmentation`: `mixup`, `cutmix`, `classes`, `rand_augment`,
            `repeats`.

    Returns:
        A prefetched `tf.data.Dataset` of `(images, labels)`.

    Raises:
        ValueError: If an argument is none of the accepted.

    Example:

    >>> images, labels = next(iter(pipeline(load("digits").train, training=True)))
    >>> images.shape, labels.shape
    (TensorShape([128, 8, 8, 1]), TensorShape([128]))
    """
    _needs.tensorflow("`data.pipeline`, which reads and resizes images in `tf.data`,")
    import tensorflow as tf

    split = _split(x, y)
    augmentation = augmentation_of(augmentation, changes)
    options = _Options(
        batch_size=_checks.integer("batch_size", batch_size),
        image_size=_image_size(image_size, split),
        test_crop=_checks.real("test_crop", test_crop, 0.01, 1),
        drop_remainder=_checks.boolean("drop_remainder", drop_remainder),
        preparation=make_preparation(split, training, augmentation, mean, std, seed),
    )
    _checks.integer("epoch", epoch, 0, _LAST_EPOCH - 1)
    if _checks.boolean("repeat", repeat) and not training:
        raise ValueError("`repeat` needs training=True. Received: repeat=True, training=False")
    batches_of = _in_memory(split, options) or _one_by_one(split, options)
    steps = (math.floor if drop_remainder else math.ceil)(len(split) / batch_size)
    if not steps:
        raise ValueError(
            f"`drop_remainder` leaves no batch of {counted(len(split), 'image')}. "
            f"Received: batch_size={batch_size}"
        )
    # AutoGraph is not needed here, and it would warn about code of other packages.
    batches_of = tf.autograph.experimental.do_not_convert(batches_of)
    batches = _epochs(epoch, training, repeat).flat_map(batches_of)
    if not repeat:
        batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return batches.prefetch(tf.data.AUTOTUNE)


def _split(x: object, y: object) -> Split:
    if hasattr(x, "train") and hasattr(x, "test"):
        raise ValueError("`x` must be a split: dataset.train or dataset.test. Received: a Dataset")
    if not isinstance(x, Split):
        return images_with_labels(x, y)
    if y is not None:
        raise ValueError("`y` must be left out when `x` is a split, which has its labels.")
    return x


def _image_size(image_size: object, split: Split) -> tuple[int, int] | None:
    if len(split.image_shape) != 3:
        if image_size is not None:
            raise ValueError(
                f"`image_size` is for images, not for series. Received: image_size={image_size!r}"
            )
        return None
    if image_size is None:
        own = split.image_shape[:2]
        return _IMAGENET_SIZE if None in own else own
    if not isinstance(image_size, Sequence):
        image_size = (_checks.integer("image_size", image_size, maximum=_LARGEST_SIDE),) * 2
    size = _checks.integers("image_size", image_size)
    if len(size) != 2 or max(size) > _LARGEST_SIDE:
        raise ValueError(
            f"`image_size` must be an integer or (height, width), of at most {_LARGEST_SIDE}. "
            f"Received: image_size={image_size}"
        )
    return size


def _epochs(first: int, training: bool, repeat: bool) -> "tf.data.Dataset[Any]":
    """Returns the numbers of the epochs of one iteration."""
    import tensorflow as tf

    if repeat:
        return tf.data.Dataset.range(first, _LAST_EPOCH, output_type=tf.int32)
    if not training:
        return tf.data.Dataset.from_tensors(tf.constant(0, tf.int32))
    numbers = itertools.count(first)
    return tf.data.Dataset.from_generator(
        lambda: itertools.islice(numbers, 1), output_signature=tf.TensorSpec((), tf.int32)
    )


def _in_memory(split: Split, options: _Options) -> Callable[..., Any] | None:
    """Returns an epoch's batches by one gather each, unless images are processed one by one."""
    import tensorflow as tf

    preparation = options.preparation
    cropped = not preparation.augmentation.keeps_size
    kept = options.image_size in (None, split.image_shape[:2])
    if not isinstance(split, ArraySplit) or cropped or not kept or preparation.steps:
        return None
    x, y = split.tensors()

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        order = split.order(preparation.seed, epoch, preparation.training)
        if preparation.training:
            order = keyed.repeated(order, preparation.repeats)
        indices = tf.data.Dataset.from_tensor_slices(order).batch(
            options.batch_size, options.drop_remainder
        )

        def batch(index: tf.Tensor) -> tuple[Any, ...]:
            stored = index % len(split)
            return preparation(tf.gather(x, stored), tf.gather(y, stored), index, epoch)

        return indices.map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    return batches_of


def _one_by_one(split: Split, options: _Options) -> Callable[..., Any]:
    """Returns an epoch's batches of images that are each resized to `image_size` first."""
    import tensorflow as tf

    preparation, size = options.preparation, options.image_size
    crop = preparation.augmentation.crop_options(split)
    steps = preparation.steps
    if steps and size is not None:
        to_levels, preparation = WHITE / preparation.scale, preparation.of_levels()
    else:
        to_levels = 1 / preparation.scale
    rand_augments = preparation.rand_augments
    of_batch = preparation.of_rand_augmented() if rand_augments else preparation

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        def fit(image: tf.Tensor, label: tf.Tensor, index: tf.Tensor) -> tuple[Any, ...]:
            if size is None:
                pass
            elif preparation.augmentation.keeps_size:
                image = resizing.resize_and_crop(image, size)
            elif preparation.training:
                image = resizing.random_resized_crop(
                    image, size, preparation.seed, epoch, index, **crop
                )
            else:
                image = resizing.resize_and_crop(image, size, options.test_crop)
            if steps:
                levels = tf.cast(image, tf.float32) * to_levels
                image = steps(levels, preparation.seed, epoch, index)
            if rand_augments:
                # One by one, because intermediate results of a whole batch may be too large.
                image = preparation.rand_augmented(image[None], index[None], epoch)[0]
            return image, label, index

        images = _examples(split, preparation, epoch).map(fit, num_parallel_calls=tf.data.AUTOTUNE)
        batches = images.batch(options.batch_size, options.drop_remainder)
        return batches.map(
            lambda images, labels, index: of_batch(images, labels, index, epoch),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    return batches_of


def _examples(split: Split, preparation: Preparation, epoch: "tf.Tensor") -> "tf.data.Dataset[Any]":
    """Returns the examples of an epoch, each repeated, in the order of `repeated`."""
    import tensorflow as tf

    count, repeats = len(split), preparation.repeats
    if not preparation.training or repeats == 1:
        return split.examples(preparation.seed, epoch, preparation.training)

    def repeated(image: tf.Tensor, label: tf.Tensor, index: tf.Tensor) -> tf.data.Dataset:
        numbers = tf.data.Dataset.range(repeats, output_type=tf.int32)
        return numbers.map(lambda repetition: (image, label, index + repetition * count))

    different = split.examples(preparation.seed, epoch, True, math.ceil(count / repeats))
    return different.flat_map(repeated).take(count)
