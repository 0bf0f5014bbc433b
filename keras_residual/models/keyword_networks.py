"""Keyword spotting networks from raw waveforms: Res8 … Res26 and BC-ResNet."""

import inspect
from typing import Any

from keras_residual.models._keyword_architecture import (
    BCResNetArchitecture,
    KeywordResNetArchitecture,
)
from keras_residual.models.factories import classifier, factories
from keras_residual.models.registry import builder
from keras_residual.models.rows import row

TANG_2018 = "[Tang and Lin, 2018](https://arxiv.org/abs/1710.10361)"
KIM_2021 = "[Kim et al., 2021](https://arxiv.org/abs/2106.04140)"
_SECOND, _WORDS = (16000,), 12

_DOCSTRING = """{summary}

Takes mono waveforms with values in [-1, 1], `(batch, samples)`, and computes their spectrogram
inside the model. `input_shape=(None,)` accepts waveforms of any length.

Args:
{own}
    include_top: Whether to end with average pooling and a classifier. Defaults to `True`.
    weights: `None` for a random initialization, a path, a URL, or `"hf://owner/name"`.
    input_tensor: Optional Keras tensor of waveforms to use as the input.
    input_shape: `(samples,)`, without the batch; with `front_end=None` `(time, frequencies, 1)`.
        Defaults to one second.
    pooling: Global pooling if `include_top=False`: `None`, `"avg"` or `"max"`.
    classes: Positive integer, number of words. Defaults to `12`.
    classifier_activation: Activation of the top; `None` for logits. Defaults to `"softmax"`.
    name: Name of the model.
    front_end: `"log_mel"`, logarithms of mel energies (HTK's scale, as torchaudio), `"mfcc"`,
        cepstral coefficients of all mel bands (Slaney's scale, as librosa), or `None` for a model
        that takes spectrograms `(batch, time, frequencies, 1)`. Defaults to `"{front_end}"`.
    sampling_rate: Samples per second. Defaults to `16000`.
    num_mel_bins: Number of mel filters, and of coefficients. Defaults to `40`.
    frame_length: Length of a frame in seconds. Defaults to `0.03`.
    frame_step: Distance between frames in seconds. Defaults to `0.01`.
    min_freq: Lower edge of the first filter in hertz. Defaults to `{min_freq}`.
    max_freq: Upper edge of the last filter, at most half of `sampling_rate`. Defaults to
        `{max_freq}`.
    log_offset: Number added before the logarithm. Defaults to `1e-6`.
    normalization: See `layers.ConvNorm`. Defaults to `"batch"`.
    activation: Keras activation. Defaults to `"relu"`.
    norm_momentum: Momentum of the batch normalization. Defaults to `0.9`.
    norm_epsilon: Epsilon of the normalization. Defaults to `1e-5`.
    kernel_initializer: Defaults to PyTorch's, uniform by fan-in, as in the authors' code.
    kernel_regularizer: Optional regularizer of every kernel, the classifier's included.
    features: `True` for a dict of the outputs of the stages in place of the top, or a tuple of some
        of their names; `"C1"` is the output of the first convolution.
    dtype: Dtype policy of the model; spectrograms are always computed in float32.
    data_format: `"channels_last"` or `"channels_first"`, after the spectrogram.
    flat: Whether every convolution, normalization, activation and addition is a layer of the model,
        see `models.flat_view`. Defaults to `False`.

Returns:
    A `keras.Model`.

Raises:
    ValueError: If an argument is out of range or unknown, or has no effect beside the others.

Example:

>>> {example}
(None, 2)

Reference:
    - {paper}
"""


def _documented(architecture, **documentation):
    """Completes the docstring of a family's builder, whose summary it has; a decorator."""

    def document(function):
        default = architecture()
        function.__doc__ = _DOCSTRING.format(
            summary=inspect.getdoc(function),
            front_end=default.front_end,
            min_freq=default.min_freq,
            max_freq=(default.max_freq and f"`{default.max_freq}`") or "that half",
            **documentation,
        ).replace("``", "`")
        return function

    return document


@builder
@classifier(KeywordResNetArchitecture, input_shape=_SECOND, classes=_WORDS)
@_documented(
    KeywordResNetArchitecture,
    own="""    depth: Number of convolutions after the first one, at least 2; if it is odd, the last
        has no shortcut. Defaults to `6`.
    width: Number of channels. Defaults to `45`.
    pool: `(times, coefficients)` of the average pooling after the first convolution, or `None`.
    dilated: Whether convolution i, from 0, has the dilation 2^⌊i/3⌋. Defaults to `False`.""",
    example="KeywordResNet(depth=2, width=4, classes=2).output_shape",
    paper=f"{TANG_2018}; the logarithm adds 1e-6 instead of skipping zeros.",
)
def KeywordResNet(**architecture_options: Any) -> KeywordResNetArchitecture:
    """Returns a residual network over MFCC, with 3×3 convolutions.

    The first convolution is followed by blocks of two, which add before they normalize. Named
    members such as `Res15` are rows of a table over this.
    """
    return KeywordResNetArchitecture(**architecture_options)


@builder
@classifier(BCResNetArchitecture, input_shape=_SECOND, classes=_WORDS)
@_documented(
    BCResNetArchitecture,
    own="""    width_factor: The paper's τ, number of channels over 8. Defaults to `1`.
    depths: Number of blocks in each of four stages. Defaults to `(2, 2, 4, 4)`.
    sub_bands: Number of sub-bands that are normalized separately; divides the frequencies of every
        stage. Defaults to `5`.
    dropout_rate: Dropout inside the blocks. Defaults to `0.1`.""",
    example="BCResNet(width_factor=0.5, depths=(1, 1, 1, 1), classes=2).output_shape",
    paper=f"{KIM_2021}; counts are those of the authors' code.",
)
def BCResNet(**architecture_options: Any) -> BCResNetArchitecture:
    """Returns a network of broadcasted residual blocks over log-mel energies.

    A 5×5 convolution, four stages of `layers.BroadcastedResidualBlock`, and a depthwise convolution
    over the remaining frequencies. Named members such as `BCResNet1` are rows of a table over this.
    """
    return BCResNetArchitecture(**architecture_options)


def _res(name, depth, summary, **options):
    both = (("", 45, ""), ("Narrow", 19, ", narrow: 19 channels"))
    return [
        row(f"{name}{suffix}", TANG_2018, f"{summary}{more}.", depth=depth, width=width, **options)
        for suffix, width, more in both
    ]


def _bc(factor):
    name = f"BCResNet{factor:g}".replace(".", "_")
    summary = f"BC-ResNet-{factor:g}, for single words: {round(8 * factor)} channels and more."
    return row(name, KIM_2021, summary, width_factor=factor)


RES = (
    *_res("Res8", 6, "res8 for keywords, 7 convolutions after 4×3 pooling", pool=(4, 3)),
    *_res("Res15", 13, "res15 for keywords, 14 dilated convolutions", dilated=True),
    *_res("Res26", 24, "res26 for keywords, 25 convolutions after 2×2 pooling", pool=(2, 2)),
)
BROADCASTED = tuple(map(_bc, (1, 1.5, 2, 3, 6, 8)))
globals().update(factories(RES, KeywordResNetArchitecture, "KeywordResNet", _SECOND, _WORDS))
globals().update(factories(BROADCASTED, BCResNetArchitecture, "BCResNet", _SECOND, _WORDS))
