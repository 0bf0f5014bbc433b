"""Tiny classifiers of pictures, described and not, for the tests of files for phones."""

import numpy as np
from support import set_sequential_weights

import keras_residual
from keras_residual import export
from keras_residual._description import Description, describe

RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (12, 16, 16, 3)).astype(np.uint8)
NAMES = tuple("abcde")


def network(channels=3, classes=5, **options):
    options = {"block": "basic", "depths": (1, 1), "widths": (8, 8), **options}
    model = keras_residual.ResNet(
        stem="conv7", stem_width=8, input_shape=(16, 16, channels), classes=classes, **options
    )
    set_sequential_weights(model)
    return model


def described(model, **fields):
    describe(model, Description(class_names=NAMES, **fields))
    return model


def write(model, directory, *arguments, **options):
    return export.export(model, directory, "litert", *arguments, **{"measure": False, **options})
