"""Quantization-aware training, for models that lose accuracy in int8."""

from typing import Any

import keras
from keras import ops

from keras_residual._description import describe
from keras_residual.export._samples import fitting
from keras_residual.export._signature import count_of, input_specs, new_inputs, structured
from keras_residual.export.rewrite.fake_quantization import (
    WITH_KERNEL,
    FakeQuantize,
    QuantizedKernel,
)
from keras_residual.export.rewrite.graph import graph_of
from keras_residual.export.rewrite.rewrite import Rewrite
from keras_residual.models.flat import opened
from keras_residual.weights import description_of

__all__ = ["for_converter", "is_quantization_aware", "quantization_aware"]

_CALIBRATION_SAMPLES = 200
# Layers and operations of Keras that leave the range of values unchanged.
_PASSING = ("Reshape", "Pad", "MaxPool", "Flatten", "GetItem", "Flip", "Identity", "ZeroPadding")
_PASSING += ("AveragePool", "GlobalMaxPooling", "Permute", "Transpose", "Squeeze", "ExpandDims")
# Activations whose output range is fixed by the format.
_FIXED = (keras.activations.softmax, keras.activations.sigmoid)


def quantization_aware(model: keras.Model, representative_data: Any) -> keras.Model:
    """Returns a quantization-aware copy of a model, to be fine-tuned before export in int8.

    The model is folded; then kernels are rounded to 8 bits, each output channel of a convolution by
    its own range, and so is every value that an int8 file rounds: inputs, what convolutions, dense
    layers and means output after their activation, sums and concatenations. Ranges follow the data
    while training; gradients pass as if nothing were rounded. `export(…, quantization="int8")`
    writes a LiteRT file with these kernels and ranges. What normalizes the input inside the model
    stays in floating point, and so does what is left of a normalization with no convolution before
    it.

    Args:
        model: A trained functional or sequential model.
        representative_data: `(n, ...)` inputs, for several inputs a tuple or a dict of them; the
            first 200 give the ranges to begin with.

    Returns:
        A functional model of its own weights, one layer an operation, not compiled. A few epochs at
        a hundredth of the first learning rate usually do.

    Raises:
        ValueError: If `model` is not functional, or the data do not fit it.

    Example:

    >>> aware = quantization_aware(model, images)  # doctest: +SKIP
    >>> aware.compile("sgd", "sparse_categorical_crossentropy")  # doctest: +SKIP
    >>> aware.fit(images, classes, epochs=3)  # doctest: +SKIP
    >>> export(aware, "exported", "litert", "int8", images)  # doctest: +SKIP
    """
    folded = Rewrite(fold=True, float32=True, unrolled=True)(model)
    specs = input_specs(folded)
    data = fitting("representative_data", folded, specs, representative_data, _CALIBRATION_SAMPLES)
    aware = _with_rounding(Rewrite(fold=True)(opened(folded, operations=True)))
    _calibrate(aware, data)
    describe(aware, description_of(model))
    return aware


def is_quantization_aware(model: keras.Model) -> bool:
    """Returns whether a model came from `quantization_aware`."""
    return any(isinstance(layer, FakeQuantize) for layer in model.layers)


def _with_rounding(model):
    inputs = new_inputs(model, model.inputs[0].shape[0])
    floating = [name for name, spec in input_specs(model).items() if spec.is_floating]
    title = "rounded_input" if len(inputs) == 1 else "rounded_input_{}"
    rounded = {
        id(inputs[name]): FakeQuantize(name=title.format(name))(inputs[name]) for name in floating
    }
    graph, copies = graph_of(model), []
    operations = {operation.name: operation for operation in model.operations}

    def copy(layer):
        new = _linear_copy(layer) if isinstance(layer, WITH_KERNEL) else None
        new = new or type(layer).from_config(layer.get_config())
        copies.append((layer, new))
        return new

    def call(layer, *args, **kwargs):
        args = keras.tree.map_structure(lambda x: rounded.get(id(x), x), args)
        outputs = layer(*args, **kwargs)
        source = operations[layer.name]
        activation = getattr(source, "activation", None)
        if isinstance(source, WITH_KERNEL) and activation not in (None, keras.activations.linear):
            outputs = _activated(outputs, activation, layer.name)
        if activation in _FIXED:
            return FakeQuantize(fixed=True, name=f"rounded_{layer.name}")(outputs)
        if _passes(source) or _goes_into_relu(source, graph, operations):
            return outputs
        return FakeQuantize(name=f"rounded_{layer.name}")(outputs)

    new = keras.models.clone_model(
        model, structured(model, inputs.values()), clone_function=copy, call_function=call
    )
    for layer, copied in copies:
        if isinstance(layer, keras.layers.Layer):
            copied.set_weights(layer.get_weights())
    return new


def _linear_copy(layer):
    config = layer.get_config()
    if "activation" in config:
        config["activation"] = "linear"
    return QuantizedKernel(type(layer).from_config(config), name=layer.name)


def _activated(x, activation, name):
    """Applies an activation; before one with a fixed range the values are rounded too."""
    if activation in _FIXED:
        x = FakeQuantize(name=f"rounded_{name}_logits")(x)
    return keras.layers.Activation(activation, name=f"{name}_activation")(x)


def _passes(operation):
    return type(operation).__name__.startswith(_PASSING)


def _goes_into_relu(operation, graph, operations):
    takers = graph.takers.get((operation.name, 0, 0), [])
    if len(takers) != 1 or not takers[0]:
        return False
    taker = operations[takers[0]]
    relu = getattr(taker, "activation", None) is keras.activations.relu
    relu = relu or type(taker).__name__.lower() in ("relu", "relu6")
    return relu and not isinstance(taker, WITH_KERNEL)


def _calibrate(model, data):
    layers = [layer for layer in model.layers if isinstance(layer, FakeQuantize)]
    inside = keras.Model(model.input, [layer.input for layer in layers])
    for layer in layers:
        layer.active = False
    try:
        for start in range(0, min(count_of(data), _CALIBRATION_SAMPLES), 50):
            batch = (array[start : start + 50] for array in data.values())
            values = inside(structured(model, batch), training=False)
            for layer, value in zip(layers, keras.tree.flatten(values), strict=True):
                layer.widen(value)
    finally:
        for layer in layers:
            layer.active = True


def for_converter(model: keras.Model) -> keras.Model:
    """Returns a copy whose rounding the TensorFlow converter reads as quantization ranges."""
    copies = []

    def copy(layer):
        if isinstance(layer, FakeQuantize):
            low, high, _ = (float(ops.convert_to_numpy(value)) for value in layer.grid())
            return _Range(low, high, name=layer.name)
        if isinstance(layer, QuantizedKernel):
            new = _ConverterKernel(layer, name=layer.name)
        else:
            new = type(layer).from_config(layer.get_config())
        copies.append((layer, new))
        return new

    new = keras.models.clone_model(model, clone_function=copy)
    for layer, copied in copies:
        if isinstance(layer, keras.layers.Layer) and not isinstance(layer, QuantizedKernel):
            copied.set_weights(layer.get_weights())
    return new


def pixel_range(pixels):
    """Declares the range of pixels 0…255 to the converter, so that every level is an integer."""
    return _Range(0.0, 255.0, name="pixels")(pixels)


class _Range(keras.layers.Layer):
    """Declares the range of a value to the TensorFlow converter."""

    def __init__(self, low, high, **kwargs):
        super().__init__(**kwargs)
        self.low, self.high = low, high

    def call(self, inputs):
        import tensorflow as tf

        return tf.quantization.fake_quant_with_min_max_args(inputs, self.low, self.high)

    def compute_output_shape(self, input_shape):
        return input_shape


class _ConverterKernel(keras.layers.Layer):
    """A `QuantizedKernel` that declares the ranges of its channels to the converter."""

    def __init__(self, source, **kwargs):
        super().__init__(**kwargs)
        self._source = [source]
        self.kernel = ops.convert_to_numpy(source.layer.kernel)
        self.limits = ops.convert_to_numpy(source.limits())

    def call(self, inputs):
        import tensorflow as tf

        kernel, high = tf.constant(self.kernel), tf.constant(self.limits)
        quantize = tf.quantization.fake_quant_with_min_max_vars
        if self.limits.ndim:
            quantize = tf.quantization.fake_quant_with_min_max_vars_per_channel
        kernel = quantize(kernel, -high, high, num_bits=8, narrow_range=True)
        return self._source[0].compute(inputs, kernel)

    def compute_output_shape(self, input_shape):
        return self._source[0].compute_output_shape(input_shape)
