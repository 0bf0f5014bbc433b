"""A residual block of causal convolutions over time."""

from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual.layers.adaptation import AdaptedSublayers
from keras_residual.layers.lstm.step_masks import every_step
from keras_residual.layers.registration import registered


@registered
class CausalResidualBlock(AdaptedSublayers, keras.layers.Layer):
    """Two causal convolutions with a residual connection, optionally strided.

    y = relu(norm(conv2(relu(norm(conv1(x))))) + shortcut(x)), where `conv1` takes every
    `strides`-th step. Step j of the output depends on the steps of the input up to j · strides, so
    that a stream can be processed in pieces. The norm is `LayerNormalization`, computed for each
    step, since batch statistics would include padding. The shortcut is a normalized linear
    projection where widths or numbers of steps differ. Masked steps count as zeros, like the steps
    before the first; the output's mask is `mask[:, ::strides]`.

    Args:
        filters: Positive integer, width of the output.
        kernel_size: Positive integer, steps that each convolution sees. Defaults to `3`.
        strides: Positive integer. Defaults to `1`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, steps, features)`, floating point.
        mask: `(batch, steps)` or `None`.

    Returns:
        `(batch, ceil(steps / strides), filters)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> tuple(CausalResidualBlock(8, strides=2)(keras.ops.ones((1, 5, 4))).shape)
    (1, 3, 8)
    """

    def __init__(self, filters: int, kernel_size: int = 3, strides: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters = _checks.integer("filters", filters)
        self.kernel_size = _checks.integer("kernel_size", kernel_size)
        self.strides = _checks.integer("strides", strides)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)
        shared = {"dtype": self.dtype_policy}
        of_block = {"use_bias": False, "kernel_initializer": "he_normal", **shared}
        self.conv1 = keras.layers.Conv1D(
            filters, kernel_size, strides=strides, name="conv1", **of_block
        )
        self.norm1 = keras.layers.LayerNormalization(epsilon=1e-5, name="norm1", **shared)
        self.conv2 = keras.layers.Conv1D(filters, kernel_size, name="conv2", **of_block)
        self.norm2 = keras.layers.LayerNormalization(epsilon=1e-5, name="norm2", **shared)
        # Drawn here, so that its seed does not depend on whether there is a projection.
        self._projection_kernel = keras.initializers.HeNormal()

    def build(self, input_shape):
        inside = (input_shape[0], None, self.filters)
        self.conv1.build((input_shape[0], None, input_shape[-1]))
        for layer in (self.norm1, self.conv2, self.norm2):
            layer.build(inside)
        self.projects = self.strides > 1 or input_shape[-1] != self.filters
        if self.projects:
            self._make_projection()
            self.projection.build(input_shape)
            self.projection_norm.build(inside)
        self.adapt_sublayers()

    def _make_projection(self):
        """Creates the shortcut's layers, if it has some: unused ones could not be quantized."""
        shared = {"dtype": self.dtype_policy}
        self.projection = keras.layers.Dense(
            self.filters,
            use_bias=False,
            kernel_initializer=self._projection_kernel,
            name="projection",
            **shared,
        )
        self.projection_norm = keras.layers.LayerNormalization(
            epsilon=1e-5, name="projection_norm", **shared
        )

    def call(self, inputs, mask=None):
        x = _without_masked(inputs, mask)
        y = ops.relu(self.norm1(self.conv1(self._after_zeros(x))))
        y = _without_masked(y, self.compute_mask(inputs, mask))
        y = self.norm2(self.conv2(self._after_zeros(y)))
        return ops.relu(y + self._shortcut(x))

    def step(self, inputs, states) -> tuple[Any, ...]:
        """Runs the next steps of a stream.

        Args:
            inputs: `(batch, steps, features)`, a multiple of `strides` steps.
            states: The states that `get_initial_state` or the previous call returned.

        Returns:
            The outputs `(batch, steps / strides, filters)` and the list of next states.
        """
        if inputs.shape[1] is None or inputs.shape[1] % self.strides:
            raise ValueError(
                f"`inputs` must be a multiple of strides={self.strides} steps. "
                f"Received: a shape of {tuple(inputs.shape)}"
            )
        x = ops.concatenate([states[0], ops.cast(inputs, states[0].dtype)], axis=1)
        y = ops.relu(self.norm1(self.conv1(x)))
        z = ops.concatenate([states[1], y], axis=1)
        outputs = ops.relu(self.norm2(self.conv2(z)) + self._shortcut(inputs))
        return outputs, [x[:, inputs.shape[1] :], z[:, y.shape[1] :]]

    def get_initial_state(self, batch_size) -> list[Any]:
        """Returns the zeros that both convolutions see before the first step."""
        widths = (self.conv1.kernel.shape[1], self.filters)
        before = self.kernel_size - 1
        return [ops.zeros((batch_size, before, width), self.compute_dtype) for width in widths]

    def _after_zeros(self, x):
        return ops.pad(x, [(0, 0), (self.kernel_size - 1, 0), (0, 0)])

    def _shortcut(self, x):
        return self.projection_norm(self.projection(x[:, :: self.strides])) if self.projects else x

    def compute_mask(self, inputs, previous_mask=None):
        return None if previous_mask is None else every_step(previous_mask, self.strides)

    def compute_output_shape(self, input_shape):
        batch, steps, _ = input_shape
        return (batch, steps if steps is None else -(-steps // self.strides), self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
        }


def _without_masked(x, mask):
    """Replaces masked steps by zeros: by `where`, as a product would keep NaN."""
    if mask is None:
        return x
    return ops.where(ops.expand_dims(ops.cast(mask, "bool"), -1), x, ops.zeros((), x.dtype))
