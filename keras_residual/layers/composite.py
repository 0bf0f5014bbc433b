"""The base of layers that are made of sublayers, and the shape arithmetic they share."""

import math
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._docstrings import completed
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers import _normalization
from keras_residual.layers._description_keeper import DescriptionKeeper
from keras_residual.layers._initialization import FanOutHeNormal
from keras_residual.layers.adaptation import AdaptedSublayers
from keras_residual.layers.strides import Strides, for_each_axis

Plan = tuple[list[tuple[keras.layers.Layer, Shape]], Shape]


class SpatialLayer(DescriptionKeeper, keras.layers.Layer):
    """A layer over one to three spatial axes that knows where its channels are.

    Args:
        data_format: `"channels_last"`, `"channels_first"` or `None` for the Keras default.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__doc__ = completed(cls.__doc__, {base.__name__: base.__doc__ for base in cls.__mro__})

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)

    @property
    def channels_first(self) -> bool:
        return self.data_format == "channels_first"

    @property
    def channel_axis(self) -> int:
        return 1 if self.channels_first else -1

    def channels_of(self, shape: Shape) -> int:
        """Returns the number of channels in `shape`, checking its rank."""
        if len(shape) not in (3, 4, 5):
            raise ValueError(
                f"{type(self).__name__} {self.name!r} takes inputs of rank 3, 4 or 5: (batch, "
                f"*spatial, channels) with one to three spatial axes. Received: input_shape={shape}"
            )
        channels = shape[self.channel_axis]
        if channels is None:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} needs a known number of channels. "
                f"Received: input_shape={shape}"
            )
        return channels

    def spatial_axes(self, rank: int) -> tuple[int, ...]:
        """Returns the spatial axes of a tensor of that rank."""
        return tuple(range(2, rank) if self.channels_first else range(1, rank - 1))

    def spatial_of(self, shape: Shape) -> Shape:
        return tuple(shape[2:]) if self.channels_first else tuple(shape[1:-1])

    def shape_with(self, shape: Shape, *, spatial: Shape | None = None, channels: int) -> Shape:
        """Returns `shape` with other channels and, if given, other spatial sizes."""
        spatial = self.spatial_of(shape) if spatial is None else tuple(spatial)
        if self.channels_first:
            return (shape[0], channels, *spatial)
        return (shape[0], *spatial, channels)

    def strided(self, shape: Shape, strides: Strides) -> Shape:
        """Returns the spatial sizes after `strides`; raises if one is smaller than its stride."""
        spatial = self.spatial_of(shape)
        pairs = [*zip(spatial, for_each_axis(strides, len(spatial)), strict=True)]
        if any(size is not None and size < step for size, step in pairs):
            raise ValueError(
                f"The input of {type(self).__name__} {self.name!r} is too small for strides="
                f"{strides}: every spatial size must be at least {strides}. "
                f"Received: input_shape={shape}"
            )
        return tuple(None if size is None else math.ceil(size / step) for size, step in pairs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class CompositeLayer(AdaptedSublayers, SpatialLayer):
    """A layer whose sublayers, their input shapes and its output shape follow from one `plan`.

    A subclass implements `plan(input_shape)`, which building, shape inference and the cost analysis
    use. Inferring shapes by arithmetic instead of tracing makes deep networks quick to build.
    Sublayers are created in `__init__`, or by the first `plan` if they depend on the input shape.
    """

    repeats = 1
    """How often the plan runs: more than once if one layer represents many equal ones."""

    def plan(self, input_shape: Shape) -> Plan:
        """Returns the sublayers with their input shapes, and the output shape."""
        raise TypeError(f"{type(self).__name__} must implement `plan`.")

    def build(self, input_shape: Shape) -> None:
        self.channels_of(input_shape)
        for layer, shape in self.plan(input_shape)[0]:
            layer.build(shape)
        self.adapt_sublayers()

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.plan(input_shape)[1]

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns x + y: the addition that ends a residual branch."""
        return ops.add(x, y)

    def channels_from(self, x: Tensor, start: int, stop: int | None = None) -> Tensor:
        """Returns the channels of a tensor from `start` to `stop`."""
        window = (slice(start, stop),)
        return x[(slice(None), *window) if self.channels_first else (..., *window)]

    def joined(self, *tensors: Tensor) -> Tensor:
        """Returns the concatenation of feature maps along the channels."""
        return tensors[0] if len(tensors) == 1 else ops.concatenate(tensors, axis=self.channel_axis)

    def activate(self, x: Tensor) -> Tensor:
        """Returns the activation of x, computed by a sublayer if it has weights."""
        return self.activation(x) if self.prelu is None else self.prelu(x)

    def part_name(self, part: keras.layers.Layer) -> str:
        """Returns the name of a sublayer in a flat network; `""` for the layer's own name."""
        return part.name

    def check_opens(self) -> None:
        """Raises a ValueError if the layer cannot be replaced by its sublayers."""

    def sublayer_options(self) -> dict[str, Any]:
        """Returns the arguments that every sublayer inherits."""
        return {"data_format": self.data_format, "dtype": self.dtype_policy}


class BlockLayer(CompositeLayer):
    """A composite layer with the options that all blocks share and pass to their sublayers.

    Args:
        normalization: `"batch"`, `"group"`, `"layer"`, `"evonorm"`, `"none"` or `"folded"`, see
            `ConvNorm`. Defaults to `"batch"`.
        activation: Keras activation, `"prelu"` or `None`. Defaults to `"relu"`.
        norm_momentum: Momentum of the batch normalization. Defaults to `0.9`.
        norm_epsilon: Epsilon of the normalization. Defaults to `1e-5`.
        kernel_initializer: Initializer of every kernel. Defaults to He normal by fan-out.
        kernel_regularizer: Optional regularizer of every kernel.
        weight_standardization: Whether kernels are standardized, see `Convolution`. Defaults to
            `False`.
        **kwargs: Those of `SpatialLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, one to three spatial axes.
        training: Whether batch normalization uses batch statistics.
    """

    def __init__(
        self,
        normalization: str = "batch",
        activation: Identifier | None = "relu",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        kernel_initializer: Identifier | None = None,
        kernel_regularizer: Identifier | None = None,
        weight_standardization: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.weight_standardization = _checks.boolean(
            "weight_standardization", weight_standardization
        )
        self.normalization, self.norm_momentum, self.norm_epsilon = _normalization.check(
            normalization, norm_momentum, norm_epsilon
        )
        self.activation = checked_activation(activation, learned=True)
        self.kernel_initializer = checked_initializer(kernel_initializer)
        self.kernel_regularizer = checked_regularizer(kernel_regularizer)

    def block_options(self, index: int = 0) -> dict[str, Any]:
        """Returns the shared options for a sublayer; `index` offsets fixed seeds."""
        return {
            "normalization": self.normalization,
            "activation": self.activation,
            "norm_momentum": self.norm_momentum,
            "norm_epsilon": self.norm_epsilon,
            "kernel_initializer": fresh_initializer(self.kernel_initializer, index),
            "kernel_regularizer": self.kernel_regularizer,
            "weight_standardization": self.weight_standardization,
            **self.sublayer_options(),
        }

    def bare_options(self, index: int = 0) -> dict[str, Any]:
        """Returns the same for a bare convolution, with a bias if there is no normalization."""
        bare = {"normalization": "none", "activation": None}
        return {**self.block_options(index), **bare, "use_bias": self.normalization == "none"}

    def make_norm(self, channels: int, **options: Any) -> keras.layers.Layer:
        """Returns the normalization over `channels` named "norm", or `None` for `"none"`."""
        return _normalization.make(
            self.normalization,
            channels,
            self.channel_axis,
            self.norm_momentum,
            self.norm_epsilon,
            name="norm",
            dtype=self.dtype_policy,
            **options,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "normalization": self.normalization,
            "activation": serialized_activation(self.activation),
            "norm_momentum": self.norm_momentum,
            "norm_epsilon": self.norm_epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "weight_standardization": self.weight_standardization,
        }


def chain(layers: list[Any], shape: Shape) -> Plan:
    """Returns the plan of `layers` applied one after the other, skipping `None`."""
    steps = []
    for layer in layers:
        if layer is not None:
            steps.append((layer, shape))
            shape = tuple(layer.compute_output_shape(shape))
    return steps, shape


def checked_data_format(data_format: str | None) -> str:
    """Returns a valid data format, the Keras default for `None`."""
    if data_format is None:
        return keras.config.image_data_format()
    return _checks.choice("data_format", data_format, ("channels_last", "channels_first"))


def checked_activation(activation, name: str = "activation", learned: bool = False):
    """Returns an activation function, or raises naming the argument.

    If `learned`, activations with weights are accepted: `"prelu"` stays a name, from which each
    layer creates its own.
    """
    if learned and isinstance(activation, str) and activation == "prelu":
        return activation
    accepted = "activation name, a callable or None"
    return _found(keras.activations.get, name, activation, accepted)


def serialized_activation(activation):
    """Returns an activation in a form that configs hold and `checked_activation` accepts."""
    return activation if activation == "prelu" else keras.activations.serialize(activation)


def checked_initializer(initializer, name: str = "kernel_initializer"):
    """Returns an initializer, He normal by fan-out for `None`, or raises naming the argument."""
    if initializer is None:
        return FanOutHeNormal()
    accepted = "initializer name, config or instance"
    return _found(keras.initializers.get, name, initializer, accepted)


def checked_regularizer(regularizer):
    """Returns a regularizer, or raises naming the argument."""
    accepted = "regularizer name, config, instance or None"
    return _found(keras.regularizers.get, "kernel_regularizer", regularizer, accepted)


def _found(get, name: str, value, accepted: str):
    """Resolves an argument by a `get` function of Keras, or raises naming it."""
    try:
        return get(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`{name}` must be a Keras {accepted}. Received: {name}={value!r}"
        ) from error


def fresh_initializer(initializer, index: int = 0):
    """Returns an independent copy of `initializer`.

    A Keras initializer has one seed and returns the same values at every call, so sublayers that
    shared an instance would be initialized equally. A fixed seed is offset by `index`.
    """
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] += index
    return type(initializer).from_config(config)
