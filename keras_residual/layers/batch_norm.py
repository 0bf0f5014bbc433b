import inspect
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.keras_objects import from_keras
from keras_residual.layers.registration import registered

_ARGUMENTS = tuple(inspect.signature(keras.layers.BatchNormalization).parameters)
_OBJECTS = ("initializer", "regularizer", "constraint")


@registered
class BatchNorm(keras.layers.BatchNormalization):
    """Keras' batch normalization, computed by TensorFlow's fused kernels.

    The results are those of `keras.layers.BatchNormalization`; on a CPU a training step takes about
    a third of the time. In inference nothing is cast to float32 and back in 16 bits, and in float32
    TensorFlow's graph optimizer joins the kernel with the convolution before it and the ReLU after
    it. It would also join some activations that it has no kernel for (tanh, Mish), and then fail;
    so in float32 this is done only in layers that know what follows. Other backends, batch
    statistics under a mask, renormalization, and `channels_first` use Keras' code.

    Args:
        *args, **kwargs: Arguments of `keras.layers.BatchNormalization`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point.
        training: Whether to normalize by the batch's statistics and update the moving ones.
        mask: Optional mask of the positions that count.

    Returns:
        The normalized inputs, same shape.

    Reference:
        - [Ioffe and Szegedy, 2015](https://arxiv.org/abs/1502.03167)
    """

    def __init__(self, *args: Any, **kwargs: Any):
        for name, value in {**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}.items():
            _check(name, value)
        super().__init__(*args, **kwargs)
        # Whether an activation follows that TensorFlow can join with a convolution.
        self.precedes_relu = False

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        by_batch = training and self.trainable
        if not self._has_kernel(inputs, mask, by_batch):
            return self._by_keras(inputs, training, mask)
        gamma = self.gamma if self.scale else ops.ones_like(self.moving_mean)
        beta = self.beta if self.center else ops.zeros_like(self.moving_mean)
        if not by_batch:
            outputs = fused_inference_tensorflow(
                inputs, gamma, beta, self.moving_mean, self.moving_variance, self.epsilon
            )
            return ops.cast(outputs, self.compute_dtype)
        outputs, mean, variance = fused_training_tensorflow(inputs, gamma, beta, self.epsilon)
        move_tensorflow((self.moving_mean, self.moving_variance), (mean, variance), self.momentum)
        return ops.cast(outputs, self.compute_dtype)

    def _has_kernel(self, inputs, mask, by_batch):
        rank = len(inputs.shape)
        if by_batch:
            possible = rank > 2 and mask is None and not (self.synchronized or self.renorm)
        else:
            narrow = keras.backend.standardize_dtype(inputs.dtype) in ("bfloat16", "float16")
            possible = rank == 4 and (narrow or self.precedes_relu)
        return (
            possible
            and keras.backend.backend() == "tensorflow"
            and self.axis in (-1, rank - 1)
            and inputs.dtype != "float64"  # not supported by the kernels
        )

    def _by_keras(self, inputs, training, mask):
        if mask is None or not (training and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        statistics = (self.moving_mean, self.moving_variance)
        before = [ops.copy(variable.value) for variable in statistics]
        outputs = super().call(inputs, training=training, mask=mask)
        some = ops.any(mask)
        for variable, value in zip(statistics, before, strict=True):
            # A batch that is all padding has no statistics; Keras takes them as zero.
            variable.assign(ops.where(some, variable.value, value))
        return outputs


def _check(name, value):
    """Raises if an argument of Keras' batch normalization is none, which Keras does not name."""
    if name == "axis":
        _checks.integer(name, value, minimum=-8, maximum=8)
    elif name in ("momentum", "epsilon"):
        _checks.real(name, value, 0, 1)
    elif name in ("center", "scale", "renorm", "synchronized"):
        _checks.boolean(name, value)
    elif name.endswith(_OBJECTS):
        from_keras(name, value)


def fused_training_tensorflow(inputs, gamma, beta, epsilon):
    """Returns the normalized batch, its mean and its biased variance, as Keras defines them."""
    import tensorflow as tf

    channels = inputs.shape[-1]
    shape = None if len(inputs.shape) == 4 else tf.shape(inputs)
    flat = inputs if shape is None else tf.reshape(inputs, (shape[0], -1, 1, channels))
    outputs, mean, variance = _kernel_tensorflow(flat, gamma, beta, (), (), epsilon, True)[:3]
    # The kernel returns the unbiased variance n/(n-1)·var, Keras keeps the biased one.
    count = tf.cast(tf.size(flat, tf.int64) // channels, tf.float32)
    variance *= (count - 1.0) / count
    return outputs if shape is None else tf.reshape(outputs, shape), mean, variance


def move_tensorflow(moving, batch, momentum):
    """Moves statistics towards those of a batch, as Keras does, in operations that trace fast."""
    import tensorflow as tf

    multiply, dtype = tf.raw_ops.Mul, moving[0].dtype
    kept, added = tf.constant(momentum, dtype), tf.constant(1 - momentum, dtype)
    for variable, new in zip(moving, batch, strict=True):
        old = multiply(x=tf.convert_to_tensor(variable.value), y=kept)
        change = multiply(x=tf.cast(new, dtype), y=added)
        variable.assign(tf.raw_ops.AddV2(x=old, y=change))


def fused_inference_tensorflow(inputs, gamma, beta, mean, variance, epsilon):
    """Returns a batch of rank 4 normalized by given statistics, in the dtype of the inputs."""
    return _kernel_tensorflow(inputs, gamma, beta, mean, variance, epsilon, False)[0]


def _kernel_tensorflow(inputs, gamma, beta, mean, variance, epsilon, is_training):
    import tensorflow as tf

    values = [tf.cast(value, tf.float32) for value in (gamma, beta, mean, variance)]
    # `tf.nn`'s function would raise epsilon to 1.001e-5.
    return tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=values[0],
        offset=values[1],
        mean=values[2],
        variance=values[3],
        epsilon=epsilon,
        is_training=is_training,
    )
