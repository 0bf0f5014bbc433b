"""A network for the examples and labels of a dataset."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_residual import _checks
from keras_residual.models.registry import find_variant, get_model
from keras_residual.models.residual_rnn import ResidualLSTMClassifier
from keras_residual.models.transcriber import transcriber_for

_DECIDED = ("classes", "input_shape", "input_tensor", "include_top", "pooling", "features")
_IMAGENET_SIZE = (224, 224)
_LSTM = "residuallstmclassifier"
_TRANSCRIBER = "residuallstmtranscriber"
ACTIVATIONS = {"multi_label": "sigmoid", "regression": None}
"""The last activation for each kind of labels; softmax is the factories' default."""


def model_for(
    name: str,
    dataset: Any,
    image_size: int | Sequence[int] | None = None,
    dtype: Any = None,
    **options: Any,
) -> keras.Model:
    """Returns a network for a dataset, with its number of channels, image size and classes.

    The network takes pixels in [0, 1], as in the batches of `training.fit`, and standardizes them
    by the mean and standard deviation of the training images inside the model, so that its file is
    self-contained. A network for spoken words, such as `"bcresnet1"`, takes raw recordings at their
    sampling rate. The output has one unit for each class with softmax, for each label with sigmoid,
    or for each number without an activation. This is the network that `keras-residual train`
    trains.

    Args:
        name: Name of the network, as in `get_model`, or `"ResidualLSTMClassifier"` for series,
            `"ResidualLSTMTranscriber"` for the waveforms of recordings with transcripts.
        dataset: A `data.Dataset`.
        image_size: Integer or `(height, width)` of the input. Defaults to the size of the images,
            or 224 if they differ in size.
        dtype: Dtype policy of the network.
        **options: More arguments of the network.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: If there is no such network, or it does not accept such images.

    Example:

    >>> digits = keras_residual.data.load("digits")
    >>> model_for("resnet8", digits).input_shape
    (None, 8, 8, 1)
    """
    _check_options(options)
    is_transcriber = isinstance(name, str) and name.lower().replace("_", "") == _TRANSCRIBER
    if is_transcriber or getattr(dataset, "label_kind", "classes") == "text":
        if not is_transcriber:
            raise ValueError(
                f"`name` must be 'ResidualLSTMTranscriber' for transcripts. Received: name={name!r}"
            )
        return transcriber_for(dataset, dtype, options)
    kind = getattr(dataset, "label_kind", "classes")
    if kind in ACTIVATIONS:
        options.setdefault("classifier_activation", ACTIVATIONS[kind])
    is_lstm = isinstance(name, str) and name.lower().replace("_", "") == _LSTM
    if is_lstm and dataset.examples == "images":
        raise ValueError(f"`ResidualLSTMClassifier` takes series. Received: {dataset}")
    if not is_lstm and hasattr(find_variant(name).architecture, "sampling_rate"):
        options = {**_of_recordings(name, dataset, image_size, options), "dtype": dtype}
        return get_model(name, classes=dataset.num_classes, **options)
    *own, channels = dataset.image_shape
    mean, deviation = _statistics(dataset)
    inputs = standardized((*_size(image_size, own), channels), mean, deviation)
    if is_lstm:
        return _lstm_classifier(inputs, dataset.num_classes, dtype, options)
    return get_model(name, input_tensor=inputs, classes=dataset.num_classes, dtype=dtype, **options)


def _lstm_classifier(series, classes, dtype, options) -> keras.Model:
    """Returns a stack of residual LSTM layers on standardized series."""
    dtype = {} if dtype is None else {"dtype": dtype}
    stack = ResidualLSTMClassifier(series.shape[1:], classes=classes, **{**dtype, **options})
    return keras.Model(keras.utils.get_source_inputs(series), stack(series), name=stack.name)


def _of_recordings(name, dataset, image_size, options) -> dict[Any, Any]:
    """Returns the options of a network for spoken words: the rate and length of the recordings."""
    rate = dataset.train.rate
    if rate is None:
        raise ValueError(
            f"{find_variant(name).name} takes recordings of sound, which have a sampling rate. "
            f"Received: {dataset}"
        )
    if image_size not in (None, dataset.image_shape[0], tuple(dataset.image_shape[:-1])):
        raise ValueError(
            "`image_size` has no effect on recordings: `seconds` of `data.load` is their length. "
            f"Received: image_size={image_size!r}"
        )
    given = options.get("sampling_rate", rate)
    if given != rate:
        raise ValueError(
            f"`sampling_rate` must be that of the recordings, {rate}. "
            f"Received: sampling_rate={given!r}"
        )
    if options.get("front_end", "") is None:
        raise ValueError("`front_end` must compute spectrograms of recordings. Received: None")
    return {**options, "sampling_rate": rate, "input_shape": (dataset.image_shape[0],)}


def standardized(shape: Sequence[int], mean: Sequence[float], deviation: Sequence[float]):
    """Returns inputs of a shape, standardized by a mean and deviation for each channel."""
    inputs = keras.Input(tuple(shape), name="image" if len(shape) == 3 else "series")
    # A constant channel becomes 0.
    variance = [max(float(value) ** 2, 1e-12) for value in deviation]
    layer = keras.layers.Normalization(
        mean=[float(value) for value in mean], variance=variance, name="standardize"
    )
    return layer(inputs)


def _check_options(options):
    """Raises for options that are determined by the dataset."""
    for option in options:
        if option in _DECIDED:
            raise ValueError(f"`{option}` follows from the dataset and must be left out.")


def _statistics(dataset):
    from keras_residual.data.statistics import channel_statistics

    return channel_statistics(dataset.train)


def _size(image_size, own) -> tuple[int, ...]:
    """Returns the requested size, the images' own, or 224."""
    if image_size is None:
        return _IMAGENET_SIZE if len(own) == 2 and None in own else tuple(own)
    if isinstance(image_size, int):
        return (_checks.integer("image_size", image_size),) * len(own)
    size = _checks.integers("image_size", image_size)
    if len(size) != len(own):
        raise ValueError(
            f"`image_size` must be an integer or {len(own)} of them. "
            f"Received: image_size={image_size!r}"
        )
    return size
