"""GNMT's decoder, one token at a time, compiled on every backend."""

import weakref

import keras
import numpy as np
from keras import ops

from keras_residual.models._word_pieces import PAD

# Compiled once per model; not stored as attributes, which Keras would save a second time.
_STEPS = weakref.WeakKeyDictionary()


class Decoding:
    """Runs the decoder on one batch of sources, always with the same number of rows.

    Attributes:
        states: The states before the first step.
        mask: `(sources, source steps)`, false at padding.
    """

    def __init__(self, model, source, beam_size):
        encoder, self.model = parts_of(model)
        self.mask = source != PAD
        self.source_rows = np.arange(len(source))
        self.rows = len(source) * beam_size
        self.memory = encoder.predict_on_batch(source)
        self.states = [
            ops.convert_to_numpy(ops.cast(state, "float32"))
            for state in model.decoder.get_initial_state(len(source))
        ]

    def step(self, tokens, rows, states):
        """Runs one step for `beam_search`."""
        used = len(tokens)
        rows = np.pad(rows, (0, self.rows - used))
        self.source_rows = self.source_rows[rows]
        log_probabilities, attention, *states = self.model.predict_on_batch(
            [
                np.pad(tokens, (0, self.rows - used)).astype("int32"),
                self.mask[self.source_rows],
                *(value[self.source_rows] for value in self.memory),
                *(state[rows] for state in states),
            ]
        )
        log_probabilities = np.array(log_probabilities[:used], np.float64)
        log_probabilities[:, PAD] = -np.inf
        return log_probabilities, attention[:used], states


def parts_of(model):
    """Returns the encoder and one step of the decoder as models."""
    if model not in _STEPS:
        _STEPS[model] = _encoder_model(model), _step_model(model)
    return _STEPS[model]


# Lists, not dicts: Keras orders the keys of nested dicts differently on PyTorch.
def _encoder_model(model):
    source = next(tensor for tensor in model.inputs if tensor.name == "source")
    memory = model.encoder.output
    return keras.Model(source, [memory, model.decoder.bottom.key(memory)])


def _step_model(model):
    units = model.decoder.units
    inputs = [
        keras.Input((), dtype="int32", name="tokens"),
        keras.Input((None,), dtype="bool", name="mask"),
        keras.Input((None, model.encoder.units), name="memory"),
        keras.Input((None, units), name="keys"),
        *(keras.Input((units,), name=f"state_{i}") for i in range(2 * model.decoder.num_layers)),
    ]
    step = _Step(model.target_embedding, model.decoder, model.classifier)
    return keras.Model(inputs, step(inputs))


class _Step(keras.layers.Layer):
    """One step of the decoder, from tokens to the log-probabilities of the next tokens."""

    def __init__(self, embedding, decoder, classifier):
        super().__init__(dtype=decoder.dtype_policy)
        self.embedding, self.decoder, self.classifier = embedding, decoder, classifier

    def build(self, input_shape):
        """Builds nothing: the layers come from a model that has been built."""

    def call(self, inputs):
        tokens, mask, memory, keys, *states = inputs
        x, states, attention = self.decoder.step(self.embedding(tokens), states, memory, keys, mask)
        states = [ops.cast(state, "float32") for state in states]
        return [ops.log_softmax(self.classifier(x)), ops.cast(attention, "float32"), *states]
