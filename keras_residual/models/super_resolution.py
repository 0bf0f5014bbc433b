"""Super-resolution networks, which upscale images with values in [0, 1]: VDSR, SRResNet, EDSR."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Protocol

import keras

from keras_residual import _checks
from keras_residual.layers.composite import checked_data_format
from keras_residual.models._super_resolution_architecture import (
    EDSRArchitecture,
    SRResNetArchitecture,
    VDSRArchitecture,
)
from keras_residual.models.assembly import Top, Variant
from keras_residual.models.factories import assemble
from keras_residual.models.inputs import checked_input_shape
from keras_residual.models.registry import register

KIM_2016 = "[Kim et al., 2016](https://arxiv.org/abs/1511.04587)"
LEDIG_2017 = "[Ledig et al., 2017](https://arxiv.org/abs/1609.04802)"
LIM_2017 = "[Lim et al., 2017](https://arxiv.org/abs/1707.02921)"

_DOCSTRING = """{summary}

Takes images of any size with values in [0, 1] and returns images `scale` times as large, whose
values may exceed [0, 1] slightly.

Args:
    scale: `2`, `3` or `4`. Defaults to `4`.
    weights: `None` for a random initialization, a path, a URL or `"hf://owner/name"`; of `EDSR`
        also `"div2k"`, the authors' weights for each scale.
    input_tensor: Optional Keras tensor to use as the input.
    input_shape: Optional shape without batch; sizes may be `None`, and the channels are those of
        the output too. Defaults to `(None, None, {channels})`.
    name: Name of the model. Defaults to `"{default_name}"`.
    **architecture_options: As below.
    filters: Positive integer, width of the network. Defaults to `{filters}`.
    depth: {depth}
    {own}
    kernel_initializer: Defaults to {initializer}; before a `PixelShuffle`, kernels are
        drawn once for all positions of a block (`layers.ICNR`).
    kernel_regularizer: Optional regularizer of every kernel.
    execution: `"auto"`, `"unrolled"` or `"scanned"`, see `layers.ResidualStage`.
    rematerialize: Whether activations inside the blocks are recomputed in the backward pass.
    dtype: Dtype policy of the model, such as `"mixed_bfloat16"`; the output is float32.
    data_format: `"channels_last"` or `"channels_first"`.
    flat: Whether every convolution, normalization, activation and addition is a layer of the model,
        see `models.flat_view`. Defaults to `False`.

Returns:
    A `keras.Model` from `(batch, height, width, channels)` to `(batch, scale * height,
    scale * width, channels)`.

Raises:
    ValueError: If an argument is out of range or unknown.

Example:

>>> {name}(scale=2, filters=8, depth=4).compute_output_shape((1, 10, 15, {channels}))
(1, 20, 30, {channels})

Reference:
    - {paper}{deviations}
"""
_PYTORCH = "PyTorch's, uniform by fan-in"
_BLOCKS = "Positive integer, number of residual blocks. Defaults to `{}`."


COMMON = ("dtype", "data_format", "flat")


class UpscalerFactory(Protocol):
    """The signature of a named network for super-resolution."""

    def __call__(
        self,
        scale: int = ...,
        weights: object = None,
        input_tensor: object = None,
        input_shape: tuple[int | None, ...] | None = None,
        name: str = ...,
        **architecture_options: object,
    ) -> keras.Model: ...


def _factory(variant: Variant, summary: str, **parts: str) -> Callable[..., keras.Model]:
    """Registers a variant and returns its factory."""
    options = [field.name for field in fields(variant.architecture)]
    options = [name for name in options if name not in ("scale", "channels")]

    def build(
        scale=variant.architecture.scale,
        weights=None,
        input_tensor=None,
        input_shape=None,
        name=variant.default_name,
        **architecture_options,
    ):
        for option in architecture_options:
            _checks.known("architecture option", option, [*options, *COMMON])
        common = {
            key: architecture_options.pop(key) for key in COMMON if key in architecture_options
        }
        channels = _channels(
            input_tensor, input_shape, variant.input_shape[-1], common.get("data_format")
        )
        if isinstance(weights, str) and weights.lower() == "div2k":
            # Each scale has its own weights.
            weights = f"div2k_x{scale}"
        return assemble(
            replace(variant.architecture, scale=scale, channels=channels, **architecture_options),
            Top(include_top=False),
            weights=weights,
            input_tensor=input_tensor,
            input_shape=input_shape,
            default_shape=(None, None, channels),
            name=name,
            variant=variant,
            **common,
        )

    documentation = _DOCSTRING.format(
        **{"initializer": _PYTORCH, "deviations": "", **parts},
        summary=summary,
        name=variant.name,
        default_name=variant.default_name,
        channels=variant.input_shape[-1],
        filters=variant.architecture.filters,
        paper=variant.paper,
    )
    return register(variant, build, documentation)


def _channels(input_tensor, input_shape, default: int, data_format) -> int:
    first = checked_data_format(data_format) == "channels_first"
    if keras.utils.is_keras_tensor(input_tensor):
        input_shape = input_tensor.shape[1:]
    if input_shape is None:
        return default
    shape = checked_input_shape(input_shape, checked_data_format(data_format))
    return shape[0] if first else shape[-1]


def _variant(name, architecture, paper):
    # The cost of a network is given for an output of 1280×720, as papers do.
    size = (720 // architecture.scale, 1280 // architecture.scale, architecture.channels)
    return Variant(name, architecture, size, None, paper, kind="super_resolution")


VDSR = _factory(
    _variant("VDSR", VDSRArchitecture(), KIM_2016),
    "VDSR: 20 plain convolutions that compute what a bicubic enlargement lacks.",
    depth="Even integer of at least 4, number of convolutions. Defaults to `20`.",
    own="channels: As in `input_shape`; the paper enlarges luminance only, hence 1.",
    initializer="He normal",
    deviations="; the enlargement is part of the model.",
)
SRResNet = _factory(
    _variant("SRResNet", SRResNetArchitecture(), LEDIG_2017),
    "SRResNet, SRGAN's generator: 16 blocks with batch normalization and PReLU, one long skip.",
    depth=_BLOCKS.format(16),
    own="""output_activation: Keras activation of the last convolution, whose -1…1 become 0…1:
        `"tanh"` for weights of the Keras SRGAN by M. Krasser. Defaults to `None`.
    norm_momentum: Momentum of the batch normalization. Defaults to `0.9`.
    norm_epsilon: Epsilon of the normalization. Defaults to `1e-5`.""",
)
_EDSR = """residual_scale: Number in `[0, 1]` that the residual of each block is multiplied by.
        Defaults to `{}`.
    activation: Keras activation or `"prelu"`. Defaults to `"relu"`."""
EDSR = _factory(
    _variant("EDSR", EDSRArchitecture(), LIM_2017),
    "EDSR, the paper's baseline: 16 blocks of width 64 without normalization, one long skip.",
    depth=_BLOCKS.format(16),
    own=_EDSR.format("1"),
)
EDSRLarge = _factory(
    _variant("EDSRLarge", EDSRArchitecture(filters=256, depth=32, residual_scale=0.1), LIM_2017),
    "EDSR as it won: 32 blocks of width 256, residuals scaled by 0.1, one long skip.",
    depth=_BLOCKS.format(32),
    own=_EDSR.format("0.1"),
)
