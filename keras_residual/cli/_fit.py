"""Checks that a model and a dataset fit together."""

from collections.abc import Sequence

from keras_residual import data
from keras_residual._words import counted


def load_for(shape: Sequence[int | None], name: str, rate: int | None = None) -> data.Dataset:
    """Returns a dataset for a model, with recordings cut to the length of its input.

    Args:
        shape: Shape of the model's input without batch.
        name: The dataset, as `data.load` takes it.
        rate: The model's sampling rate in Hz, `None` if unknown.

    Raises:
        ValueError: If the recordings have another sampling rate.
    """
    source = data.load(name)
    if source.examples != "recordings":
        return source
    if rate is not None and source.train.rate != rate:
        raise ValueError(
            f"The model takes {rate:,} samples a second; the recordings of {name} have "
            f"{source.train.rate:,}: resample them."
        )
    if shape[0] in (None, source.image_shape[0]):
        return source
    return data.load(name, seconds=shape[0] / source.train.rate)


def check_inputs(
    shape: Sequence[int | None], source: data.Dataset, *, images_only: bool = False
) -> None:
    """Raises a ValueError if a dataset's examples do not fit a model's input.

    Args:
        shape: Shape of the model's input without batch.
        source: The dataset.
        images_only: Whether only images are accepted.
    """
    if len(shape) == 1 and source.examples == "recordings":
        # Waveforms without a channel axis.
        shape = (*shape, 1)
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
