"""Describes a model's inputs and outputs by the dataset that it is trained on."""

import warnings
from dataclasses import replace

import keras

from keras_residual import _description
from keras_residual.training.recipe import Recipe
from keras_residual.training.recipes import find_recipe

_TASKS = {
    "classes": "classification",
    "multi_label": "multilabel",
    "regression": "regression",
    "text": "transcription",
}
# With these kinds evaluation crops the shorter side, with others it does not.
_CROPPED = ("imagenet", "photo")


def describe(model: keras.Model, dataset: object, recipe: Recipe | str | None = None) -> None:
    """Attaches a description of its inputs and outputs to a model; `fit` saves it with the model.

    `fit` calls this function if it is given a dataset. Series have no description, except for
    sound recordings.

    Args:
        model: A model for pictures, or clips, between 0 and 1, as `data.pipeline` makes them; for
            a `Description` any model.
        dataset: A dataset of `data.load`, or a `keras_residual.Description`.
        recipe: For a dataset of pictures or clips: the recipe, or the name of one.

    Raises:
        ValueError: If the recipe is missing or has no effect.

    Example:

    >>> model = keras_residual.ResNet8(input_shape=(8, 8, 1), classes=10)
    >>> describe(model, keras_residual.data.load("digits"), "quick")
    """
    if isinstance(dataset, _description.Description):
        if recipe is not None:
            raise ValueError(
                f"`recipe` has no effect beside a Description. Received: recipe={recipe!r}"
            )
        _description.describe(model, dataset)
        return
    if dataset.examples == "recordings" and dataset.label_kind in _TASKS:
        before = _description.described(model) or _description.Description()
        description = replace(
            before,
            task=_TASKS[dataset.label_kind],
            class_names=tuple(dataset.class_names),
            sampling_rate=int(dataset.train.rate),
            dataset=dataset.name,
        )
        _description.describe(model, description)
    if len(dataset.image_shape) not in (3, 4):
        return
    if recipe is None:
        raise ValueError("`recipe` must be given for a dataset of pictures. Received: recipe=None")
    recipe = find_recipe(recipe)
    kind = dataset.train.augmentation if recipe.augmentation == "auto" else recipe.augmentation
    before = _description.described(model) or _description.Description()
    if before.preprocessing is not None:
        warnings.warn(
            f"The weights of {model.name!r} were trained on pixels scaled otherwise than those of "
            "a dataset, which lie between 0 and 1. A model of `models.pretrained_classifier` "
            "scales them as the weights expect.",
            stacklevel=3,
        )
    description = replace(
        before,
        task=_TASKS[dataset.label_kind],
        class_names=tuple(dataset.class_names),
        white=1.0,
        preprocessing=None,
        # Frames are resized without keeping their aspect ratio, see `frame_size` of `data.load`.
        fit="stretch" if dataset.examples == "clips" else "crop",
        crop=recipe.test_crop if kind in _CROPPED else 1.0,
        dataset=dataset.name,
        stride=dataset.train.stride,
    )
    _description.describe(model, description)
