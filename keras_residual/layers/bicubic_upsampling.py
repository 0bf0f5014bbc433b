import numpy as np
from keras import ops

from keras_residual.layers._borders import mirrored
from keras_residual.layers.enlarging import EnlargingLayer
from keras_residual.layers.registration import registered

_REACH = 2


@registered
class BicubicUpsampling(EnlargingLayer):
    """Bicubic upsampling by an integer factor (Keys' kernel), with a mirrored border.

    Equals MATLAB's `imresize` on every backend and, away from the border, Pillow's `BICUBIC`. It is
    computed as a weighted sum of slices, which LiteRT and ONNX support as builtin operations.

    Args:
        **kwargs: Those of `EnlargingLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point, every spatial size at least 2.

    Returns:
        `(batch, *(scale * spatial), channels)`.

    Raises:
        ValueError: If `scale` is not a positive integer, or a spatial size is 1.

    Reference:
        - [Keys, 1981](https://doi.org/10.1109/TASSP.1981.1163711), a = -1/2
    """

    def compute_output_shape(self, input_shape):
        channels = self.channels_of(input_shape)
        spatial = self.spatial_of(input_shape)
        if any(size is not None and size < _REACH for size in spatial):
            raise ValueError(
                f"The input of BicubicUpsampling {self.name!r} is too small: every spatial size "
                f"must be at least {_REACH}. Received: input_shape={input_shape}"
            )
        return self.enlarged(input_shape, channels)

    def call(self, inputs):
        x = inputs
        for axis in self.spatial_axes(len(inputs.shape)):
            x = self._enlarge(x, axis)
        return x

    def _enlarge(self, x, axis):
        shape = list(ops.shape(x))
        padded = mirrored(x, axis, _REACH, repeat_edge=True)
        window, taps = [slice(None)] * len(shape), []
        for tap in range(2 * _REACH + 1):
            window[axis] = slice(tap, tap + shape[axis])
            taps.append(padded[tuple(window)])
        phases = []
        for weights in phase_weights(self.scale):
            parts = [tap * float(w) for tap, w in zip(taps, weights, strict=True) if w]
            phases.append(sum(parts[1:], parts[0]))
        shape[axis] *= self.scale
        return ops.reshape(ops.stack(phases, axis + 1), shape)


def phase_weights(scale: int) -> np.ndarray:
    """Returns the weights of five neighbours for each output position inside an input pixel."""
    centre = (np.arange(scale) + 0.5) / scale - 0.5
    distance = np.abs(centre[:, None] - np.arange(-_REACH, _REACH + 1))
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
