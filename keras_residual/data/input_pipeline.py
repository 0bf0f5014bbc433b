"""Input pipelines: batched, shuffled, augmented and prefetched, the same in every repetition."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keras_residual import _checks
from keras_residual.data import augment, resizing
from keras_residual.data.arrays import images_with_labels
from keras_residual.data.dataset import ArraySplit, Dataset, Split

if TYPE_CHECKING:
    import tensorflow as tf

AUGMENTATIONS = ("auto", "none", "shift", "cifar", "cifar_cutout", "imagenet")
_BATCHED = {"shift": augment.shift, "cifar": augment.cifar, "cifar_cutout": augment.cifar_cutout}
_IMAGENET_SIZE = (224, 224)
# Evaluation at 224 resizes the shorter side to 256.
_EVALUATION_FRACTION = 224 / 256
_LAST_EPOCH = 2**31 - 1


@dataclass(frozen=True)
class _Options:
    """The checked arguments of `pipeline`."""

    batch_size: int
    training: bool
    augmentation: str
    image_size: tuple[int, int]
    mean: np.ndarray
    std: np.ndarray
    seed: int
    drop_remainder: bool


def pipeline(
    x: Split | np.ndarray,
    y: np.ndarray | None = None,
    batch_size: int = 128,
    training: bool = False,
    *,
    augmentation: str = "auto",
    image_size: int | Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    seed: int = 0,
    epoch: int = 0,
    repeat: bool = False,
    drop_remainder: bool = False,
) -> "tf.data.Dataset":
    """Batches of `(images, labels)` as a `tf.data.Dataset`, which feeds every Keras backend.

    Images are `(batch, height, width, channels)` float32 in [0, 1]: integers divided by the value
    of white (255, or the split's `scale`), floating point as it is. With `mean` and `std`,
    `(images - mean) / std`. Both come before augmentation, whose padding is 0. Labels are int32.

    Training shuffles and augments, keyed by `(seed, epoch, number of the image)`: the same
    arguments give the same batches bit for bit, in any process and under any backend. Evaluation
    keeps the stored order.

    Each iteration over the training pipeline is one epoch: the first is number `epoch`, then
    `epoch + 1` and so on. `repeat=True` joins them into one endless iteration, in which the numbers
    do not depend on how often someone looked into the pipeline; use it to go on with a training
    exactly where it stopped after `k` epochs:

        steps = math.ceil(len(split) / batch_size)
        batches = pipeline(split, batch_size=batch_size, training=True, epoch=k, repeat=True)
        model.fit(batches, steps_per_epoch=steps, initial_epoch=k, epochs=90, shuffle=False)

    (`shuffle=False` as Keras 3.15 else warns that the pipeline must shuffle, which it does.)

    Args:
        x: A split of a dataset (`dataset.train`), or images `(n, height, width, channels)`.
        y: `(n,)` integer labels of images given as an array.
        batch_size: Positive integer.
        training: Whether to shuffle and augment.
        augmentation: What to do to the images in training:
            `"none"`;
            `"shift"`, a random crop after padding an eighth of the side (4 at 32);
            `"cifar"`, that and a mirror image half of the time;
            `"cifar_cutout"`, that and a square of half the side set to 0;
            `"imagenet"`, a crop of 8 to 100 % of the area and aspect ratio 3/4 to 4/3, resized, and
            a mirror image half of the time; for evaluation the shorter side is resized to 8/7 of
            `image_size` (256 for 224) and the centre cropped;
            `"auto"`, what suits the split: `"shift"` for digits and other small images of one
            channel, `"cifar"` for small ones in colour, `"imagenet"` for those larger than 64.
        image_size: Integer or `(height, width)`, to which images of another size are resized with
            their aspect ratio kept, then cropped at the centre. Defaults to their own size, or 224
            if they differ in size.
        mean: Number, or one a channel, in units of [0, 1].
        std: Number, or one a channel, in units of [0, 1].
        seed: Integer.
        epoch: Non-negative integer, number of the first epoch.
        repeat: Whether one iteration runs through all epochs without end. Training only.
        drop_remainder: Whether to leave out the last batch if it is smaller than the others.

    Returns:
        A prefetched `tf.data.Dataset` of `(images, labels)`.

    Raises:
        ValueError: If an argument is none of the accepted.

    Example:

    >>> images, labels = next(iter(pipeline(load("digits").train, training=True)))
    >>> images.shape, labels.shape
    (TensorShape([128, 8, 8, 1]), TensorShape([128]))
    """
    import tensorflow as tf

    split = _split(x, y)
    channels = split.image_shape[2]
    options = _Options(
        batch_size=_checks.integer("batch_size", batch_size),
        training=_checks.boolean("training", training),
        augmentation=_augmentation(augmentation, split),
        image_size=_image_size(image_size, split),
        mean=_per_channel("mean", mean, 0.0, channels),
        std=_per_channel("std", std, 1.0, channels),
        seed=_checks.integer("seed", seed, 0),
        drop_remainder=_checks.boolean("drop_remainder", drop_remainder),
    )
    _checks.integer("epoch", epoch, 0)
    if _checks.boolean("repeat", repeat) and not training:
        raise ValueError("`repeat` needs training=True. Received: repeat=True, training=False")
    batches_of = _in_memory(split, options) or _one_by_one(split, options)
    steps = (math.floor if drop_remainder else math.ceil)(len(split) / batch_size)
    if not steps:
        raise ValueError(
            f"`drop_remainder` leaves no batch of {len(split)} images. "
            f"Received: batch_size={batch_size}"
        )
    # Nothing here needs AutoGraph, which warns about what it meets in other packages.
    batches_of = tf.autograph.experimental.do_not_convert(batches_of)
    batches = _epochs(epoch, training, repeat).flat_map(batches_of)
    if not repeat:
        batches = batches.apply(tf.data.experimental.assert_cardinality(steps))
    return batches.prefetch(tf.data.AUTOTUNE)


def _split(x: object, y: object) -> Split:
    if isinstance(x, Dataset):
        raise ValueError("`x` must be a split: dataset.train or dataset.test. Received: a Dataset")
    if not isinstance(x, Split):
        return images_with_labels(x, y)
    if y is not None:
        raise ValueError("`y` must be left out when `x` is a split, which has its labels.")
    return x


def _augmentation(augmentation: str, split: Split) -> str:
    _checks.choice("augmentation", augmentation, AUGMENTATIONS)
    return split.augmentation if augmentation == "auto" else augmentation


def _image_size(image_size: object, split: Split) -> tuple[int, int]:
    if image_size is None:
        own = split.image_shape[:2]
        return _IMAGENET_SIZE if None in own else own
    if not isinstance(image_size, Sequence):
        image_size = (_checks.integer("image_size", image_size),) * 2
    size = _checks.integers("image_size", image_size)
    if len(size) != 2:
        raise ValueError(
            f"`image_size` must be an integer or (height, width). Received: image_size={image_size}"
        )
    return size


def _per_channel(name: str, value: object, default: float, channels: int) -> np.ndarray:
    numbers = np.asarray(default if value is None else value, np.float32)
    positive = name != "std" or (numbers > 0).all()
    if numbers.shape not in ((), (channels,)) or not np.isfinite(numbers).all() or not positive:
        raise ValueError(
            f"`{name}` must be a {'positive ' if name == 'std' else ''}number or one for each of "
            f"{channels} channels. Received: {name}={value!r}"
        )
    return numbers


def _epochs(first: int, training: bool, repeat: bool) -> "tf.data.Dataset":
    """The numbers of the epochs that one iteration runs through."""
    import tensorflow as tf

    if repeat:
        return tf.data.Dataset.range(first, _LAST_EPOCH, output_type=tf.int32)
    if not training:
        return tf.data.Dataset.from_tensors(tf.constant(0, tf.int32))
    numbers = itertools.count(first)
    return tf.data.Dataset.from_generator(
        lambda: itertools.islice(numbers, 1), output_signature=tf.TensorSpec((), tf.int32)
    )


def _finish(
    options: _Options, scale: float, epoch: "tf.Tensor"
) -> Callable[["tf.Tensor", "tf.Tensor", "tf.Tensor"], tuple]:
    """What is done to a whole batch at once: scale, standardize, augment."""
    import tensorflow as tf

    change = _BATCHED.get(options.augmentation) if options.training else None

    def finish(images: tf.Tensor, labels: tf.Tensor, index: tf.Tensor) -> tuple:
        images = (tf.cast(images, tf.float32) / scale - options.mean) / options.std
        if change:
            images = change(images, options.seed, epoch, index)
        return images, labels

    return finish


def _in_memory(split: Split, options: _Options) -> Callable | None:
    """The batches of an epoch by one gather each, if nothing is to be done image by image."""
    import tensorflow as tf

    cropped = options.augmentation == "imagenet"
    if not isinstance(split, ArraySplit) or cropped or options.image_size != split.image_shape[:2]:
        return None
    x, y = split.tensors()

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        finish = _finish(options, split.scale, epoch)
        order = split.order(options.seed, epoch, options.training)
        indices = tf.data.Dataset.from_tensor_slices(order).batch(
            options.batch_size, options.drop_remainder
        )
        return indices.map(
            lambda index: finish(tf.gather(x, index), tf.gather(y, index), index),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    return batches_of


def _one_by_one(split: Split, options: _Options) -> Callable:
    """The batches of an epoch whose images are each brought to `image_size` first."""
    import tensorflow as tf

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        def fit(image: tf.Tensor, label: tf.Tensor, index: tf.Tensor) -> tuple:
            size = options.image_size
            if options.augmentation != "imagenet":
                image = resizing.resize_and_crop(image, size)
            elif options.training:
                image = resizing.random_resized_crop(image, size, options.seed, epoch, index)
            else:
                image = resizing.resize_and_crop(image, size, _EVALUATION_FRACTION)
            return image, label, index

        examples = split.examples(options.seed, epoch, options.training)
        images = examples.map(fit, num_parallel_calls=tf.data.AUTOTUNE)
        batches = images.batch(options.batch_size, options.drop_remainder)
        finish = _finish(options, split.scale, epoch)
        return batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE)

    return batches_of
