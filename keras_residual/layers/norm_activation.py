from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Identifier, Shape, Tensor
from keras_residual.layers import _normalization
from keras_residual.layers.composite import (
    BlockLayer,
    CompositeLayer,
    Plan,
    chain,
    checked_activation,
    serialized_activation,
)
from keras_residual.layers.parametric_relu import learned
from keras_residual.layers.registration import registered


@registered
class NormActivation(CompositeLayer):
    """Normalization → activation, the pre-activation of He et al. 2016.

    Args:
        normalization: `"batch"`, `"group"`, `"layer"`, `"evonorm"`, `"none"` or `"folded"`, see
            `ConvNorm`. Defaults to `"batch"`.
        activation: Keras activation, `"prelu"` or `None`. Defaults to `"relu"`.
        norm_momentum: Momentum of the batch normalization. Defaults to `0.9`.
        norm_epsilon: Epsilon of the normalization. Defaults to `1e-5`.
        affine: Whether a batch, group or layer normalization has a scale and an offset. Defaults to
            `True`.
        **kwargs: Those of `SpatialLayer`.

    Call arguments:
        inputs: `(batch, *spatial, channels)`, floating point.
        training: Whether batch normalization uses batch statistics.

    Returns:
        Same shape as the inputs.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [He et al., 2016](https://arxiv.org/abs/1603.05027)
    """

    def __init__(
        self,
        normalization: str = "batch",
        activation: Identifier | None = "relu",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        affine: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.affine = _checks.boolean("affine", affine)
        self.normalization, self.norm_momentum, self.norm_epsilon = _normalization.check(
            normalization, norm_momentum, norm_epsilon
        )
        self.activation = checked_activation(activation, learned=True)
        self.norm = None
        self.prelu = learned(self.activation, **self.sublayer_options())

    def plan(self, input_shape: Shape) -> Plan:
        if self.norm is None:
            bare = not self.affine and self.normalization in ("batch", "group", "layer")
            self.norm = _normalization.make(
                self.normalization,
                self.channels_of(input_shape),
                self.channel_axis,
                self.norm_momentum,
                self.norm_epsilon,
                name="norm",
                dtype=self.dtype_policy,
                **({"scale": False, "center": False} if bare else {}),
            )
        return chain([self.norm, self.prelu], input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = inputs
        if self.norm is not None:
            x = _normalization.apply(self.norm, x, training, self.activation)
        return self.activate(x)

    def part_name(self, part: keras.layers.Layer) -> str:
        return "" if part is self.norm else part.name

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "normalization": self.normalization,
            "activation": serialized_activation(self.activation),
            "norm_momentum": self.norm_momentum,
            "norm_epsilon": self.norm_epsilon,
            "affine": self.affine,
        }


def norm_activation_of(block: BlockLayer, name: str, **options) -> NormActivation:
    """Returns a normalization and activation with a block's options, overridden by `options`."""
    shared = {
        "normalization": block.normalization,
        "activation": block.activation,
        "norm_momentum": block.norm_momentum,
        "norm_epsilon": block.norm_epsilon,
        **block.sublayer_options(),
    }
    return NormActivation(name=name, **{**shared, **options})
