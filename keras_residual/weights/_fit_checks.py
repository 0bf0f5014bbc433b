"""Checks that published weights and files written by Keras fit a model, before they are loaded."""

import math
import pathlib

import keras
import numpy as np

from keras_residual.layers.image_normalization import ImageNormalization
from keras_residual.weights import _digests
from keras_residual.weights._slots import options_of
from keras_residual.weights.arrays import Entries
from keras_residual.weights.errors import WeightsError
from keras_residual.weights.labels import CLASS_COUNTS
from keras_residual.weights.matching import MismatchError, check_options
from keras_residual.weights.preprocessing import Preprocessing
from keras_residual.weights.sources import WeightSource

_MOST_COUNTERS = 10_000


def check_source(model: keras.Model, source: WeightSource, skip_top: bool) -> None:
    """Raises unless the model matches the network that the source's weights were trained for."""
    required = dict(source.options)
    if source.layout == "keras.applications":
        required.pop("norm_epsilon", None)
    check_options(options_of(model), required, f"the weights {source.name}")
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense) and layer.name == "classifier" and not skip_top:
            _check_classes(layer.units, source)
    check_scaling(model, source.preprocessing, f"the weights {source.name}", repr(source.name))


def _check_classes(classes: int, source: WeightSource) -> None:
    known = CLASS_COUNTS.get(source.classes, classes)
    if classes != known:
        raise MismatchError(
            f"the weights {source.name} tell {known} classes apart, the model {classes}: build it "
            f"with classes={known}, or load them with skip_mismatched_top=True"
        )


def check_scaling(model, expected: Preprocessing, what: str, name: str) -> None:
    """Raises if the model scales pixels inside differently from what its weights expect."""
    for layer in model.layers:
        if not isinstance(layer, ImageNormalization) or layer.name != "preprocessing":
            continue
        if not expected.with_channels(len(layer.mean)).scales_like(layer):
            raise WeightsError(
                f"{what} expect pixels scaled otherwise than the model's layer {layer.name!r} "
                f"does: build the model with include_preprocessing={name}, or without it"
            )


def shortest_description(scaling: Preprocessing) -> str:
    """Returns the shortest description of a scaling."""
    for mode in ("caffe", "tf", "torch"):
        if Preprocessing.from_mode(mode).scales_like(scaling):
            return repr(mode)
    return f"Preprocessing(mean={scaling.mean}, std={scaling.std})"


def check_digest(path: pathlib.Path, source: WeightSource) -> None:
    if source.digest is not None and path.is_file() and not _digests.matches(path, source.digest):
        raise WeightsError(
            f"{path}: it has the name of the published weights {source.name} but not their hash "
            f"{source.digest}: it is damaged or another file. Rename it to load it all the same"
        )


def check_finite(model: keras.Model) -> None:
    """Raises if weights are not finite in the model's own types."""
    for weight in model.weights:
        if not keras.backend.is_float_dtype(weight.dtype):
            continue
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise WeightsError(f"{weight.path!r} would hold numbers that are not finite")


def check_entries(model: keras.Model, entries: Entries, path: pathlib.Path) -> None:
    """Raises if a file has many more values than the model, or damaged ones, before Keras reads."""
    if len(entries.layers) > 2 * len(model.variables) + _MOST_COUNTERS:
        raise WeightsError(f"{path}: it does not fit {model.name!r}: {len(entries.layers)} layers")
    found = sum(math.prod(entry.shape) for entry in entries.values())
    # Besides weights, files hold counters and the states of random generators and metrics.
    most = 2 * sum(math.prod(variable.shape) for variable in model.variables) + _MOST_COUNTERS
    if found > most:
        raise WeightsError(
            f"{path}: it does not fit {model.name!r}: it has {found:,} values, the model "
            f"{model.count_params():,}"
        )
    for name, entry in entries.items():
        # Keras decompresses anything; reading checks the data against the declared sizes.
        values = entry.read()
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise WeightsError(f"{path}: {name!r} holds numbers that are not finite")
