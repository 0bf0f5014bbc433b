"""Whether a model and a dataset go together."""

from collections.abc import Sequence

from keras_residual import data
from keras_residual._words import counted


def check_inputs(
    shape: Sequence[int | None], source: data.Dataset, *, images_only: bool = False
) -> None:
    """Raises a ValueError if a model does not take a dataset's examples.

    Args:
        shape: Shape of the model's input without batch.
        source: The dataset.
        images_only: Whether only images will do.
    """
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
            f"The model puts out {tuple(shape[1:])}; {source.name} has "
            f"{counted(source.num_classes, 'class', 'classes')}."
        )
