"""The batches of a training, from the data given to `training.fit`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_residual import _checks
from keras_residual._words import counted
from keras_residual.layers.image_normalization import white_of
from keras_residual.training.arrays import array_batches, is_array
from keras_residual.training.heads import head_of
from keras_residual.training.recipe import Recipe
from keras_residual.training.room_for_labels import check_transcripts_fit
from keras_residual.training.steps import makes_batches_in_step
from keras_residual.training.targets import first_targets, kind_of_targets


@dataclass
class Inputs:
    """The data of a training.

    Attributes:
        train: Batches made in the step, others, or a function from the number of an epoch.
        validation: Batches, or `None`.
        settings: Values that identify the data, for resuming a training.
        kind: The kind of the labels, `None` until it is determined.
        classes: Number of classes, if known.
        class_names: Their names, if any.
    """

    train: Any
    validation: Any
    settings: dict[str, Any] = field(default_factory=dict)
    kind: str | None = None
    classes: int | None = None
    class_names: tuple[str, ...] = ()

    def kind_of_labels(self, model: keras.Model) -> str:
        """Returns the kind of the labels, inferred from the first batches if necessary.

        Raises:
            ValueError: If it is ambiguous, or the model has fewer units than there are classes.
        """
        head = head_of(model)
        if self.kind is None:
            targets, self.train = first_targets(self.train, head)
            self.kind = kind_of_targets(targets, head)
        _check_units(head, self.kind, self.classes)
        return self.kind


def _check_units(head, kind, classes):
    """Raises if an output does not have the number of units that a dataset requires."""
    if classes is None or head.units == classes + (kind == "text"):
        return
    if kind == "text":
        raise ValueError(
            f"`model` must have a unit for each of {classes} characters and one for the blank. "
            f"Received: {head}"
        )
    if kind != "classes" or head.units < classes:
        what = {"multi_label": "labels", "regression": "numbers"}.get(kind, "classes")
        raise ValueError(f"`model` must have a unit for each of {classes} {what}. Received: {head}")


def read(model: keras.Model, data: object, recipe: Recipe, seed: int) -> Inputs:
    """Returns the batches of a dataset or of arrays, or the given batches."""
    if hasattr(data, "batches"):
        return _of_dataset(model, data, recipe, seed)
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            "`data` must be a dataset, arrays (inputs, labels), or (train, validation), each "
            "arrays, batches or a function from the number of an epoch to batches; validation may "
            f"be None. Received: data={data!r}"
        )
    train, validation = data
    if is_array(train):
        train, validation = data, None
    in_arrays = _is_pair_of_arrays(train)
    if in_arrays:
        train = array_batches(train, recipe.batch_size, seed)
        if _is_pair_of_arrays(validation):
            validation = array_batches(validation, recipe.batch_size, training=False)
    for batches in (train, validation):
        _check_batch_size(model, batches)
    return Inputs(train, validation, {"seed": seed} if in_arrays else {})


def _check_batch_size(model, batches):
    """Raises if the last batch is smaller than the fixed batch size of a model."""
    shape = getattr(model, "input_shape", ())
    size = shape[0] if isinstance(shape, tuple) and shape else None
    if not isinstance(size, int):
        return
    if makes_batches_in_step(batches):
        found = [order.shape[1] for order in batches.order(0)]
    else:
        specs = keras.tree.flatten(getattr(batches, "element_spec", ()))
        found = [spec.shape[0] for spec in specs if getattr(spec, "shape", None)]
    if any(count != size for count in found):
        raise ValueError(
            f"`data` must hold batches of {size} examples each, as the model takes: make them by "
            f"`batch({size}, drop_remainder=True)`. Received: model.input_shape={shape}"
        )


def number_of_steps(train: Iterable[Any] | Callable[..., Any], steps_per_epoch: int | None) -> int:
    """Returns the number of training steps in an epoch."""
    if steps_per_epoch is not None:
        return _checks.integer("steps_per_epoch", steps_per_epoch)
    try:
        return len(train)
    except TypeError as error:
        raise ValueError(
            "`steps_per_epoch` must be given for training data without a length."
        ) from error


def _is_pair_of_arrays(value):
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_array, value))


def _of_dataset(model, dataset, recipe, seed):
    options = recipe.batch_options()
    if getattr(dataset, "examples", None) == "recordings":
        _check_recordings(model, dataset)
    _check_range(model)
    size = _size_of(model, dataset, recipe)
    if size is not None:
        options["image_size"] = size
    train, validation = dataset.batches(seed=seed, **options)
    for batches in (train, validation):
        _check_batch_size(model, batches)
    if dataset.label_kind == "text":
        check_transcripts_fit(model, dataset)
    settings = {"dataset": dataset.name, "seed": seed}
    names = tuple(dataset.class_names)
    return Inputs(train, validation, settings, dataset.label_kind, dataset.num_classes, names)


def _check_range(model):
    """Raises if a model takes pixels of another range than the batches of a dataset have."""
    white = white_of(model) if hasattr(model, "layers") else None
    if white not in (None, 1):
        raise ValueError(
            "`model` must take pixels between 0 and 1, as batches of a dataset have them. Build it "
            "without include_preprocessing, or by `models.pretrained_classifier`, which rescales "
            f"them first. Received: a model that takes pixels between 0 and {white:g}"
        )


def _check_recordings(model, dataset):
    """Raises if recordings have another length or rate than the model's input."""
    shape, length = getattr(model, "input_shape", ()), dataset.image_shape[0]
    if isinstance(shape, tuple) and len(shape) == 2 and shape[1] not in (None, length):
        raise ValueError(
            f"`model` must take recordings of {length} samples, as {dataset.name} has; "
            "`data.load(..., seconds=...)` makes them of another length. "
            f"Received: model.input_shape={shape}"
        )
    for layer in getattr(model, "layers", ()):
        rate = getattr(layer, "sampling_rate", None)
        if rate not in (None, dataset.train.rate):
            raise ValueError(
                f"`model` must have been built for {dataset.train.rate:,} samples a second, as "
                f"{dataset.name} has. Received: sampling_rate={rate} of its layer {layer.name!r}"
            )


def _size_of(model, dataset, recipe) -> tuple[int, int] | None:
    """Returns the fixed image size of a model, to which those of the dataset are resized.

    Raises:
        ValueError: If the model does not accept images at the sizes of the recipe.
    """
    shape = getattr(model, "input_shape", ())
    if not isinstance(shape, tuple) or len(shape) != 4:
        return None
    if shape[-1] not in (None, dataset.image_shape[-1]):
        raise ValueError(
            f"`model` must take images of {counted(dataset.image_shape[-1], 'channel')}, as "
            f"{dataset.name} "
            f"has. Received: model.input_shape={shape}"
        )
    if None in shape[1:3]:
        return None
    named = [side for side in (recipe.image_size, recipe.test_image_size) if side is not None]
    if any((side, side) != shape[1:3] for side in named):
        raise ValueError(
            f"`model` must take images of any size, as one built with input_shape=(None, None, "
            f"{dataset.image_shape[-1]}), for a recipe with image_size={recipe.image_size!r} and "
            f"test_image_size={recipe.test_image_size!r}. Received: model.input_shape={shape}"
        )
    return shape[1:3]
