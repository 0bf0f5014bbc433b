"""The inputs of a network, with checks of shape and dtype."""

import numbers
from typing import Any

import keras

from keras_residual.layers.strides import for_each_axis


def checked_name(name: str) -> str:
    """Returns the name of a model, or raises if it is not a non-empty string."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"`name` must be a non-empty string. Received: name={name!r}")
    return name


def checked_policy(dtype) -> keras.DTypePolicy:
    """Returns a dtype policy, the global one for `None`, or raises naming the argument."""
    try:
        policy = keras.dtype_policies.get(keras.config.dtype_policy() if dtype is None else dtype)
        floating = keras.backend.is_float_dtype(policy.compute_dtype)
    except (ValueError, TypeError, AttributeError):
        floating = False
    if not floating:
        raise ValueError(
            "`dtype` must be a floating dtype policy or its name, such as 'float32' or "
            f"'mixed_bfloat16'. Received: dtype={dtype!r}"
        )
    return policy


def network_inputs(
    architecture, input_tensor, input_shape, default_shape, include_top, data_format
) -> keras.KerasTensor:
    """Returns the checked `input_tensor` of a network, or an input of the checked shape."""
    if input_tensor is not None and takes_waveforms(architecture):
        return _checked_waveforms(input_tensor, input_shape)
    if input_tensor is not None:
        return _checked_input_tensor(input_tensor, input_shape, data_format)
    shape = shape_of_inputs(architecture, input_shape, default_shape, include_top, data_format)
    return keras.Input(shape, name="waveform" if takes_waveforms(architecture) else "image")


def takes_waveforms(architecture) -> bool:
    """Returns whether a network takes `(samples,)` instead of positions with channels."""
    return getattr(architecture, "takes_waveforms", False)


def rank_of(architecture, shape) -> int:
    """Returns the number of spatial axes of a network from the shape of its input."""
    return getattr(architecture, "rank", len(shape) - 2)


def shape_of_inputs(
    architecture, input_shape, default_shape, include_top, data_format
) -> tuple[Any, ...]:
    """Returns the checked shape of a network's inputs without batch, the default for `None`."""
    if hasattr(architecture, "default_shape"):
        default_shape = architecture.default_shape
    if takes_waveforms(architecture):
        if input_shape is None:
            input_shape = default_shape if include_top else (None,)
        return checked_waveform_shape(input_shape)
    if input_shape is None:
        spatial, channels = default_shape[:-1], default_shape[-1]
        # A convolution over all frequencies needs their number.
        known = spatial[1:] if hasattr(architecture, "rank") else ()
        spatial = spatial if include_top else (*(None,) * (len(spatial) - len(known)), *known)
        first = data_format == "channels_first"
        input_shape = (channels, *spatial) if first else (*spatial, channels)
    return checked_input_shape(input_shape, data_format)


def checked_waveform_shape(input_shape) -> tuple[int | None]:
    """Returns the shape of waveforms without batch, `(samples,)`, or raises."""
    valid = isinstance(input_shape, (tuple, list)) and len(input_shape) == 1
    size = input_shape[0] if valid else None
    if not valid or not (
        size is None
        or (isinstance(size, numbers.Integral) and not isinstance(size, bool) and size > 0)
    ):
        raise ValueError(
            "`input_shape` must be (samples,) of a network that takes waveforms, a positive "
            "integer or None; a network with `front_end=None` takes spectrograms. "
            f"Received: input_shape={input_shape!r}"
        )
    return (size if size is None else int(size),)


def check_takes_images(architecture, include_preprocessing) -> None:
    """Raises if pixels are to be scaled for a network that takes sound."""
    if hasattr(architecture, "rank"):
        raise ValueError(
            "`include_preprocessing` scales pixels; this network takes sound. "
            f"Received: include_preprocessing={include_preprocessing!r}"
        )


def _checked_waveforms(input_tensor, input_shape):
    shape = getattr(input_tensor, "shape", ())
    mono = len(shape) == 2 or (len(shape) == 3 and shape[-1] == 1)
    if not keras.utils.is_keras_tensor(input_tensor) or not mono:
        raise ValueError(
            "`input_tensor` must be a Keras tensor of waveforms, (batch, samples) or (batch, "
            f"samples, 1). Received: input_tensor={input_tensor!r}"
        )
    if input_shape is not None and checked_waveform_shape(input_shape) != tuple(shape[1:2]):
        raise ValueError(
            f"`input_shape` must be that of `input_tensor`, {tuple(shape[1:2])}, or be left out. "
            f"Received: input_shape={input_shape!r}"
        )
    return input_tensor


def _checked_input_tensor(input_tensor, input_shape, data_format):
    if not keras.utils.is_keras_tensor(input_tensor) or len(input_tensor.shape) not in (3, 4, 5):
        raise ValueError(
            "`input_tensor` must be a Keras tensor (batch, *spatial, channels) with one to three "
            f"spatial axes. Received: input_tensor={input_tensor!r}"
        )
    shape = tuple(input_tensor.shape[1:])
    if input_shape is not None and checked_input_shape(input_shape, data_format) != shape:
        raise ValueError(
            f"`input_shape` must be that of `input_tensor`, {shape}, or be left out. "
            f"Received: input_shape={input_shape!r}"
        )
    return input_tensor


def checked_input_shape(input_shape, data_format: str) -> tuple[int | None, ...]:
    """Returns an input shape without batch as a tuple, or raises naming the argument."""
    valid = isinstance(input_shape, (tuple, list)) and len(input_shape) in (2, 3, 4)
    if valid:
        channels = input_shape[0] if data_format == "channels_first" else input_shape[-1]
        sizes_valid = all(
            size is None
            or (isinstance(size, numbers.Integral) and not isinstance(size, bool) and size > 0)
            for size in input_shape
        )
        valid = sizes_valid and channels is not None
    if not valid:
        raise ValueError(
            "`input_shape` must be a tuple of one to three spatial sizes (positive integers or "
            f"None) and a number of channels, {data_format}. Received: input_shape={input_shape!r}"
        )
    return tuple(size if size is None else int(size) for size in input_shape)


def source_of_inputs(inputs) -> Any:
    """Returns the input that a tensor was computed from, or a list of several."""
    sources = keras.utils.get_source_inputs(inputs)
    return sources[0] if len(sources) == 1 else sources


def check_size(shape, strides, data_format) -> None:
    """Raises if a spatial size is smaller than the network's total stride."""
    spatial = shape[2:] if data_format == "channels_first" else shape[1:-1]
    pairs = zip(spatial, for_each_axis(strides, len(spatial)), strict=True)
    if any(size is not None and size < step for size, step in pairs):
        raise ValueError(
            f"The network reduces its input by {strides}, so every spatial size of `input_shape` "
            f"must be at least {strides}. Received: input_shape={tuple(shape[1:])}"
        )
