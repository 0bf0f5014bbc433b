"""Builds the model and the batches for `training.fit` from a dataset and a model's name."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import keras_residual
from keras_residual import data, training
from keras_residual import weights as weights_room

_IMAGENET_SIZE = (224, 224)
TEST_CROP = training.Recipe().test_crop
# The networks for ImageNet reduce their input by this factor.
_SMALLEST_IMAGENET_SIZE = 32


@dataclass(frozen=True)
class Batches:
    """A dataset split into batches for training and for evaluation.

    Attributes:
        data: The datasets that `training.fit` takes.
        steps_per_epoch: Number of training batches per epoch.
    """

    data: tuple
    steps_per_epoch: int


def held_out_batches(
    dataset, batch_size=128, image_size=None, augmentation="auto", test_crop=TEST_CROP
):
    """Returns batches of the held-out images, unshuffled.

    Where TensorFlow is not installed, they are made without `tf.data` if no image is resized.
    """
    own = image_size is None or tuple(image_size) == tuple(dataset.image_shape[: len(image_size)])
    without = importlib.util.find_spec("tensorflow") is None
    if without and own and isinstance(dataset.test, data.ArraySplit):
        return _InMemory(data.in_step(dataset.test, batch_size, augmentation=augmentation))
    return data.pipeline(
        dataset.test,
        batch_size=batch_size,
        image_size=image_size,
        augmentation=augmentation,
        test_crop=test_crop,
    )


@dataclass(frozen=True)
class _InMemory:
    """Batches of images in memory, under the method of a `tf.data.Dataset` that is used here."""

    batches: Any

    def as_numpy_iterator(self) -> Iterator[tuple[np.ndarray, ...]]:
        for row in (row for part in self.batches.order(0) for row in part):
            made = self.batches.make(self.batches.arrays, row, keras.ops.convert_to_tensor(0))
            yield tuple(keras.ops.convert_to_numpy(part) for part in made)


def size_of_images(dataset: data.Dataset, side: int | None) -> tuple[int, int]:
    """Returns the size to which images are resized: the requested side, their own, or 224.

    Time series keep their length.
    """
    if dataset.examples != "images":
        if side is not None:
            raise ValueError(f"An image size is for images. Received: {side} for {dataset}")
        return dataset.image_shape[:-1]
    if side is not None:
        return side, side
    own = dataset.image_shape[:2]
    return _IMAGENET_SIZE if None in own else own


def size_for_weights(dataset: data.Dataset, name: str, side: int | None) -> tuple[int, int]:
    """Returns the size of images for a network with published weights.

    That is the requested side, or the one at which the weights were published. If most photographs
    are smaller, it is at most 1.6 times their shorter side: beyond that, accuracy hardly improves
    (photographs of hands, 100 pixels wide: 99.4 % at 160). Clips keep their size.
    """
    if dataset.examples != "images":
        return size_of_images(dataset, side)
    if side is None:
        side = _published_side(name)
        own = dataset.typical_side
        if own is not None and side > _SMALLEST_IMAGENET_SIZE:
            side = min(side, max(_SMALLEST_IMAGENET_SIZE, 32 * round(1.6 * own / 32)))
    return side, side


def _published_side(name):
    try:
        sides = [source.input_size for source in weights_room.list_sources(name)]
    except ValueError:
        sides = []
    return next(filter(None, sides), _IMAGENET_SIZE[0])


def make_classifier(
    name: str,
    dataset: data.Dataset,
    image_size: tuple[int, int],
    dtype: str | None = None,
    weights: str | None = None,
    scaling: str | None = None,
    **options,
) -> keras.Model:
    """Returns a network for the dataset's images and classes.

    It takes pixels in [0, 1] and standardizes them itself, so that its file is self-contained. With
    `weights`, the network has these and a new head, and scales pixels as the weights expect.
    """
    if weights is not None:
        shape = (*image_size, dataset.image_shape[-1])
        if dataset.label_kind != "classes":
            activation = {"multi_label": "sigmoid"}.get(dataset.label_kind)
            options = {"classifier_activation": activation, **options}
        try:
            return keras_residual.models.pretrained_classifier(
                name, weights, dataset.num_classes, shape, scaling=scaling, dtype=dtype, **options
            )
        except weights_room.WeightsError as error:
            raise ValueError(f"{error}. `--model` must be the network of `--weights`.") from error
        except ValueError as error:
            if scaling is not None or "include_preprocessing" not in str(error):
                raise
            raise ValueError(
                f"The scaling of pixels that the weights {weights} expect is unknown: "
                "give `--scaling caffe`, `tf` or `torch`."
            ) from error
    try:
        return keras_residual.model_for(name, dataset, image_size, dtype, **options)
    except ValueError as error:
        if "input_shape" in str(error) and max(image_size) < _SMALLEST_IMAGENET_SIZE:
            raise ValueError(
                f"{error} (`--image-size {_SMALLEST_IMAGENET_SIZE}` enlarges the images.)"
            ) from error
        raise


def of_any_size(network: keras.Model) -> keras.Model:
    """Returns a network that shares these layers and takes images of any size."""
    images = keras.Input((None, None, network.input_shape[-1]), name="image")
    return keras.models.clone_model(network, images, clone_function=lambda layer: layer)
