"""Models without what matters only in training: batch normalizations folded, dropout gone."""

import keras

from keras_residual.export.rewrite.rewrite import Folding, Rewrite

__all__ = ["Folding", "fold"]


def fold(model: keras.Model) -> keras.Model:
    """Returns a model with the same outputs and fewer operations.

    A batch normalization right after a convolution or a dense layer goes into its kernel and bias;
    elsewhere in this package's blocks (pre-activation) it becomes a scale and an offset for each
    channel. Dropout and drop path are removed, and a stem is computed as it is stored. This
    package's blocks keep their classes, with `normalization="folded"`, so the result can be saved
    and trained on; a plain functional model, such as those of `keras.applications`, is rebuilt
    without the layers that are gone. The model itself stays as it is.

    Args:
        model: A built functional or sequential model.

    Returns:
        A `keras.Model` of its own weights, in inference form; its attribute `folding` is a
        `Folding`, which lists the changes.

    Raises:
        ValueError: If `model` is not a built functional or sequential model.

    Example:

    >>> folded = fold(keras_residual.ResNet18(input_shape=(64, 64, 3), classes=10))
    >>> print(folded.folding)
    20 normalizations folded
    """
    rewrite = Rewrite(fold=True)
    folded = rewrite(model)
    folded.folding = rewrite.folding()
    return folded
