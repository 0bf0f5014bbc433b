"""Checks that a model and a dataset fit together."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_residual import data
from keras_residual._description import Description
from keras_residual._words import counted

_SHOWN = 10


def load_for(
    shape: Sequence[int | None],
    name: str,
    description: Description | None = None,
    images_only: bool = False,
) -> data.Dataset:
    """Returns a dataset for a model: recordings and clips of its length, labels in its order.

    Args:
        shape: Shape of the model's input without batch.
        name: The dataset, as `data.load` takes it.
        description: What the model's inputs and outputs mean, `None` if unknown.
        images_only: Whether only images are accepted.

    Raises:
        ValueError: If recordings have another sampling rate, the examples do not fit the input, or
            classes are unknown to the model.
    """
    description = description or Description()
    source = data.load(name, **_of_clips(shape, description))
    rate = description.sampling_rate
    if source.examples == "recordings":
        if rate is not None and source.train.rate != rate:
            raise ValueError(
                f"The model takes {rate:,} samples a second; the recordings of {name} have "
                f"{source.train.rate:,}: resample them."
            )
        if shape[0] not in (None, source.image_shape[0]):
            source = data.load(name, seconds=shape[0] / source.train.rate)
    # What the examples are comes before what they are called.
    _check_inputs(shape, source, images_only=images_only)
    return with_names(source, description.class_names)


def _of_clips(shape, description):
    """Returns the loading options for the clips that a model takes, none for other models."""
    if len(shape) != 4 or shape[-1] not in (1, 3):
        return {}
    frames, *size, _ = shape
    return {
        "examples": "clips",
        "frames": frames,
        "stride": description.stride,
        "frame_size": None if None in size else size,
    }


def with_names(source: data.Dataset, names: Sequence[str] | None) -> data.Dataset:
    """Returns a dataset whose classes or labels have the order of a model's.

    Args:
        source: The dataset. If none of its names is among the model's, they are matched by
            position.
        names: The names of the model's outputs, `None` if unknown.

    Raises:
        ValueError: If some classes are unknown to the model.
    """
    own, splits = source.class_names, (source.train, source.test)
    known = source.label_kind in ("classes", "multi_label") and all(
        isinstance(split.y, np.ndarray) for split in splits
    )
    if names is None or not known or own == tuple(names) or not {*own} & {*names}:
        return source
    if unknown := [name for name in own if name not in names]:
        raise ValueError(
            f"The model knows {_shown(names)}; {source.name} has {_shown(unknown)} too: leave "
            f"{'it' if len(unknown) == 1 else 'them'} out."
        )
    places = np.array([names.index(name) for name in own], np.int32)

    def moved(y):
        if source.label_kind == "classes":
            return places[y].astype(y.dtype)
        wide = np.zeros((len(y), len(names)), y.dtype)
        wide[:, places] = y
        return wide

    train, test = (dataclasses.replace(split, y=moved(split.y)) for split in splits)
    return dataclasses.replace(source, train=train, test=test, class_names=tuple(names))


def _shown(names):
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more


def _check_inputs(
    shape: Sequence[int | None], source: data.Dataset, *, images_only: bool = False
) -> None:
    """Raises a ValueError if a dataset's examples do not fit a model's input.

    Args:
        shape: Shape of the model's input without batch.
        source: The dataset.
        images_only: Whether only images are accepted.
    """
    if source.examples == "recordings":
        # Waveforms may have no channel axis.
        shape = (*shape, 1) if len(shape) == 1 else shape
        images_only = False
    if source.examples == "recordings" and shape[0] not in (None, source.image_shape[0]):
        raise ValueError(
            f"The model takes recordings of {shape[0]:,} samples; those of {source.name} have "
            f"{source.image_shape[0]:,}: leave out `seconds`, or give the model's length."
        )
    fits = len(shape) == (3 if images_only else len(source.image_shape))
    if not fits or shape[-1] not in (None, source.image_shape[-1]):
        raise ValueError(
            f"The model takes inputs of {tuple(shape)}; the {source.examples} of {source.name} are "
            f"{source.image_shape}."
        )


def check_outputs(shape: Sequence[int | None], source: data.Dataset) -> None:
    """Raises a ValueError if a model's outputs, with batch, are not a score for each class."""
    if len(shape) != 2 or shape[1] != source.num_classes:
        raise ValueError(
            f"The model outputs {tuple(shape[1:])}; {source.name} has "
            f"{counted(source.num_classes, 'class', 'classes')}."
        )
