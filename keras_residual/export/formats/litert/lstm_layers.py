"""Rebuilds models with recurrent stacks from operations that LiteRT can express."""

import uuid
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_residual.export._signature import named_outputs
from keras_residual.layers.log_mel_spectrogram import LogMelSpectrogram
from keras_residual.layers.lstm.recurrent_stack import RecurrentStack
from keras_residual.layers.lstm.residual_lstm import ResidualLSTM
from keras_residual.models.streaming import (
    WITH_STATES,
    advance,
    check_direction,
    of_next_frames,
    streamed_layers,
)


def phone_model(model, shape, dtype, implementation: str) -> keras.Model:
    """Returns a copy of `model` for inputs of exactly `shape`."""
    copies = []

    def copy(layer):
        new = _Whole(layer, implementation) if isinstance(layer, RecurrentStack) else _copy(layer)
        copies.append((layer, new))
        return new

    inputs = keras.Input(batch_shape=shape, dtype=dtype, name="sequences")
    tensors = keras.tree.map_structure(lambda _: inputs, model.input)
    fixed = keras.models.clone_model(model, input_tensors=tensors, clone_function=copy)
    _copy_weights(copies)
    several = len(fixed.outputs) > 1
    outputs = named_outputs(fixed.output) if several else {"outputs": fixed.outputs[0]}
    return keras.Model({"sequences": inputs}, outputs)


def streaming_model(model, shape, dtype) -> tuple[keras.Model, dict[str, Any]]:
    """Returns a model of the next steps, with states as inputs and outputs, and their shapes."""
    x = inputs = keras.Input(batch_shape=shape, dtype=dtype, name="sequences")
    states, after, copies = {}, {}, []
    for layer in streamed_layers(model):
        if isinstance(layer, LogMelSpectrogram):
            x = of_next_frames(layer)(x)
            continue
        new = _Step(layer) if isinstance(layer, WITH_STATES) else _copy(layer)
        copies.append((layer, new))
        if isinstance(layer, WITH_STATES):
            own = {
                f"state_{len(states) + i}": keras.Input(
                    state.shape[1:], batch_size=shape[0], name=f"state_{len(states) + i}"
                )
                for i, state in enumerate(layer.get_initial_state(shape[0]))
            }
            x, *last = new([x, *own.values()])
            states |= own
            after |= dict(zip(own, last, strict=True))
        else:
            x = new(x)
    _copy_weights(copies)
    step = keras.Model({"sequences": inputs, **states}, {"outputs": x, **after})
    return step, {name: tuple(state.shape) for name, state in states.items()}


def _copy(layer, **changes):
    return type(layer).from_config({**layer.get_config(), **changes})


def _copy_weights(copies):
    for layer, new in copies:
        new = new.layer if isinstance(new, (_Whole, _Step)) else new
        # The operations that compute masks are in the graph too, and have no weights.
        if isinstance(layer, keras.layers.Layer):
            new.set_weights(layer.get_weights())


def _unfit(layer) -> str | None:
    """Returns why a layer has no fused form."""
    if not isinstance(layer, ResidualLSTM):
        return f"the cells of a {type(layer).__name__}"
    cell = layer.cells[0]
    if cell.activation is not keras.activations.tanh:
        return f"activation={layer.get_config()['activation']!r}"
    if cell.recurrent_activation is not keras.activations.sigmoid:
        return f"recurrent_activation={layer.get_config()['recurrent_activation']!r}"
    return "return_state=True" if layer.return_state else None


def _arrays(layer, index):
    """Returns forward, backward and projection weights of one layer, `None` where it has none."""
    projection = layer.projections.get(str(index))
    bidirectional = layer.bidirectional_bottom and index == 0
    return (
        layer.get_lstm_weights(index),
        layer.get_lstm_weights(index, backward=True) if bidirectional else None,
        None if projection is None else projection.get_weights()[0],
    )


class _Whole(keras.layers.Layer):
    """Replaces a recurrent stack over whole sequences by fused operations or unrolled steps."""

    def __init__(self, layer, implementation):
        super().__init__(dtype=layer.dtype_policy, name=layer.name)
        if layer.stateful:
            raise ValueError(
                "A stateful layer cannot be exported; `write_streaming` makes the states inputs "
                f"and outputs. Received: {layer.name!r} with stateful=True"
            )
        loops = {"implementation": "layerwise"} if isinstance(layer, ResidualLSTM) else {}
        self.layer = _copy(layer, unroll=True, **loops)
        self.source, self.implementation = layer, implementation
        self.fusable = implementation != "unrolled" and _unfit(layer) is None
        self.supports_masking = True
        self._refuse(_unfit(layer))
        self._constants = []
        if self.fusable:
            self._constants = [_arrays(layer, index) for index in range(layer.num_layers)]

    def _refuse(self, reason):
        if reason is not None and self.implementation == "fused":
            raise ValueError(
                f"`implementation='fused'` is not possible for {self.source.name!r} with {reason}; "
                "use 'auto' or 'unrolled'"
            )

    def build(self, input_shape):
        self.layer.build(input_shape)

    def call(self, sequences, mask=None):
        if mask is not None:
            self._refuse("a mask")
        if mask is not None or not self.fusable:
            return self.layer(sequences, mask=mask)
        return self._fused(sequences)

    def compute_mask(self, inputs, previous_mask=None):
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def _fused(self, x):
        layer = self.source
        if layer.go_backwards:
            x = ops.flip(x, axis=1)
        for index, (forward, backward, projection) in enumerate(self._constants):
            h = _fused_lstm(x, *forward)
            if backward is not None:
                back = _fused_lstm(ops.flip(x, axis=1), *backward)
                h = ops.concatenate([h, ops.flip(back, axis=1)], axis=-1)
            if layer.is_residual(index):
                h = h + (x if projection is None else ops.matmul(x, projection))
            x = h
        return x if layer.return_sequences else x[:, -1]


class _Step(keras.layers.Layer):
    """Replaces a layer with states by one for the next steps: `[x, states] -> [y, next states]`."""

    def __init__(self, layer):
        super().__init__(dtype=layer.dtype_policy, name=layer.name)
        check_direction(layer)
        changes = {"stateful": False} if isinstance(layer, RecurrentStack) else {}
        self.layer = _copy(layer, **changes)
        self.supports_masking = True

    def build(self, input_shape):
        self.layer.build(input_shape[0])

    def call(self, inputs):
        x, *states = inputs
        y, states = advance(self.layer, x, states)
        return [y, *states]

    def compute_mask(self, inputs, previous_mask=None):
        """Returns no mask: a stream is fed only steps that count."""


def _fused_lstm(x, kernel, recurrent_kernel, bias=None):
    """Returns the outputs of one LSTM over `x`, `(batch, time, features)` with known sizes.

    TensorFlow's converter recognizes a function by these attributes and this signature and replaces
    it by UNIDIRECTIONAL_SEQUENCE_LSTM. It crashes if the weights are variables.
    """
    import tensorflow as tf

    units = recurrent_kernel.shape[0]
    if None in x.shape:
        # Keras traces with an unknown batch when it saves; the result is not converted.
        return tf.zeros((*tf.unstack(tf.shape(x)[:2]), units), x.dtype)
    length = x.shape[1]

    def lstm(x, h, c, kernel, recurrent_kernel, bias):
        reads = tf.TensorArray(x.dtype, length, element_shape=(x.shape[0], x.shape[2]))
        reads = reads.unstack(tf.transpose(x, (1, 0, 2)))
        writes = tf.TensorArray(x.dtype, length, element_shape=h.shape)

        def step(t, h, c, writes):
            z = tf.matmul(reads.read(t), kernel) + tf.matmul(h, recurrent_kernel) + bias
            i, f, g, o = tf.split(z, 4, axis=-1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return t + 1, h, c, writes.write(t, h)

        _, h, c, writes = tf.while_loop(
            lambda t, *_: t < length, step, (0, h, c, writes), maximum_iterations=length
        )
        outputs = tf.transpose(writes.stack(), (1, 0, 2))
        return h, tf.ensure_shape(outputs, (*x.shape[:2], units)), h, c, tf.constant(1.0)

    attributes = {
        "api_implements": f"lstm_{uuid.uuid4()}",
        "api_preferred_device": "CPU",
        "go_backwards": False,
        "time_major": False,
    }
    function = tf.function(lstm, autograph=False, experimental_attributes=attributes)
    zeros = tf.zeros((x.shape[0], units), x.dtype)
    bias = np.zeros(4 * units, np.float32) if bias is None else bias
    weights = (tf.constant(weight) for weight in (kernel, recurrent_kernel, bias))
    return function(x, zeros, zeros, *weights)[1]
