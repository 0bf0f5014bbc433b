"""The reference of recurrent stacks: a stack of Keras' layers and `keras.layers.Add`."""

import keras
import numpy as np
from keras import ops
from support import ramp, to_numpy

from keras_residual.layers.lstm.residual_lstm import ResidualLSTM

IMPLEMENTATIONS = ("layerwise", "wavefront")


def built(features=4, layer_class=ResidualLSTM, **arguments):
    """Returns a layer with weights by formula, on all of which its outputs depend."""
    arguments = {"units": 4, "return_sequences": True, "return_state": True, **arguments}
    layer = layer_class(**arguments)
    layer.build((2 if layer.stateful else None, None, features))
    for index, weight in enumerate(layer.trainable_weights):
        weight.assign(0.6 * ramp(*weight.shape, offset=index))
    return layer


def some_mask(batch, time):
    """Returns a mask with gaps anywhere, the first and last steps of some rows included."""
    return ramp(batch, time, offset=2.0) > -0.4


def starting_states(layer, batch=2):
    return [ramp(batch, layer.units, offset=i) for i in range(layer.state_count)]


class KerasStack(keras.layers.Layer):
    """The layers of a built stack, one Keras layer each, with copies of its weights."""

    def __init__(self, layer, **arguments):
        super().__init__(dtype=layer.dtype_policy)
        self.residual = [layer.is_residual(i) for i in range(layer.num_layers)]
        self.count = len(layer.state_dtypes)
        self.lstms = [
            layer.peer(
                layer.units,
                return_sequences=True,
                return_state=True,
                dtype=layer.dtype_policy,
                **arguments,
            )
            for _ in range(layer.num_layers)
        ]
        width = layer.cells[0].kernel.shape[0]
        for index, lstm in enumerate(self.lstms):
            lstm.build((None, None, width if index == 0 else layer.units))
            lstm.set_weights(layer.get_cell_weights(index))
        self.built = self.supports_masking = True

    def call(self, sequences, initial_state=None, mask=None):
        x, states = sequences, []
        for index, lstm in enumerate(self.lstms):
            start = None
            if initial_state is not None:
                start = initial_state[self.count * index : self.count * (index + 1)]
            y, *last = lstm(x, initial_state=start, mask=mask)
            x = keras.layers.Add()([y, x]) if self.residual[index] else y
            states += last
        return x, *states


def values_and_gradients(layer, sequences, initial_state=(), **arguments):
    """Returns outputs, and gradients of their weighted sum by inputs, states and weights."""
    tensors = [ops.convert_to_tensor(v) for v in (sequences, *initial_state)]

    def call(caller, sequences, *states):
        return caller(sequences, **({"initial_state": list(states)} if states else {}), **arguments)

    compute = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    outputs, gradients = compute(layer, call, tensors)
    return [to_numpy(v) for v in outputs], [to_numpy(v) for v in gradients]


def _loss(outputs):
    outputs = [ops.cast(v, "float32") for v in outputs]
    return sum(
        ops.sum(ops.multiply(v, ramp(*v.shape, offset=0.3 + i))) for i, v in enumerate(outputs)
    )


def _outputs(result):
    return result if isinstance(result, (tuple, list)) else [result]


def _tensorflow(layer, call, tensors):
    import tensorflow as tf

    sources = [*tensors, *(v.value for v in layer.trainable_variables)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = _outputs(call(layer, *tensors))
        loss = _loss(outputs)
    return outputs, tape.gradient(loss, sources)


def _jax(layer, call, tensors):
    import jax

    def loss(tensors, trainable):
        def caller(*args, **kwargs):
            other = [v.value for v in layer.non_trainable_variables]
            return layer.stateless_call(trainable, other, *args, **kwargs)[0]

        outputs = _outputs(call(caller, *tensors))
        return _loss(outputs), outputs

    trainable = [v.value for v in layer.trainable_variables]
    compute = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, outputs), (by_tensors, by_weights) = compute(tensors, trainable)
    return outputs, [*by_tensors, *by_weights]


def _torch(layer, call, tensors):
    tensors = [v.clone().requires_grad_() for v in tensors]
    weights = [v.value for v in layer.trainable_variables]
    for weight in weights:
        weight.grad = None
    outputs = _outputs(call(layer, *tensors))
    _loss(outputs).backward()
    return outputs, [v.grad for v in (*tensors, *weights)]


def second_gradient(function, x):
    """Returns the gradient by `x` of the squared norm of the gradient of `function`'s squares."""
    backend, x = keras.backend.backend(), ops.convert_to_tensor(x)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(function(x) ** 2)
            squares = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return to_numpy(outer.gradient(squares, x))
    if backend == "jax":
        import jax

        first = jax.grad(lambda x: (function(x) ** 2).sum())
        return to_numpy(jax.jit(jax.grad(lambda x: (first(x) ** 2).sum()))(x))
    import torch

    x.requires_grad_()
    (first,) = torch.autograd.grad((function(x) ** 2).sum(), x, create_graph=True)
    return to_numpy(torch.autograd.grad((first**2).sum(), x)[0])


def assert_all_close(received, expected, tolerance=1e-5):
    """Compares lists of arrays, each to its own largest value."""
    assert len(received) == len(expected)
    for index, (a, b) in enumerate(zip(received, expected, strict=True)):
        assert a.shape == b.shape, index
        if b.size:
            error = np.abs(a - b).max() / max(np.abs(b).max(), 1e-3)
            assert error <= tolerance, (index, error)
